"""Every kind of file a clinic's folder holds: decoded upright, or refused in one clear line."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from tests.images.old_pillow import skip_if_old
from xattn.annotations.headers import read_header
from xattn.errors import ImageError
from xattn.images import read_image, read_mask

# What EXIF says each orientation needs to be seen upright, as array operations.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _noise(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _corner(height: int = 20, width: int = 30) -> np.ndarray:
    """A mask that looks different in all eight orientations."""
    mask = np.zeros((height, width), bool)
    mask[:6, :13] = True
    return mask


class TestModes:
    @pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
    def test_a_plain_mode_is_read_as_torchvisions_loader_reads_it(self, tmp_path, mode):
        path = tmp_path / ("x.png" if mode in ("RGB", "L", "1", "P", "RGBA", "LA") else "x.tiff")
        if mode == "HSV":
            path = tmp_path / "x.jpg"
            Image.fromarray(_noise()).convert("CMYK").save(path)
        else:
            Image.fromarray(_noise()).convert(mode).save(path)
        try:
            with Image.open(path) as image:
                expected = image.convert("RGB")
        except OSError:
            skip_if_old(f"TIFF of {mode}")
        got = read_image(path)
        assert got.image.mode == "RGB"
        assert np.array_equal(np.asarray(got.image), np.asarray(expected))

    @pytest.mark.parametrize(
        ("mode", "note"),
        [("RGB", ""), ("L", "grey"), ("1", "1-bit"), ("P", "palette"), ("RGBA", "alpha")],
    )
    def test_the_note_tells_how_a_file_differs_from_plain_rgb(self, tmp_path, mode, note):
        Image.fromarray(_noise()).convert(mode).save(tmp_path / "x.png")
        assert read_image(tmp_path / "x.png").note == note

    def test_alpha_is_dropped_and_does_not_darken(self, tmp_path):
        rgba = np.dstack([_noise(), np.zeros((20, 30), np.uint8)])
        Image.fromarray(rgba, "RGBA").save(tmp_path / "x.png")
        assert np.array_equal(np.asarray(read_image(tmp_path / "x.png").image), _noise())

    def test_a_palette_with_transparency_is_read_without_a_warning(self, tmp_path):
        image = Image.fromarray(_noise()).quantize(16)
        image.save(tmp_path / "x.png", transparency=bytes(range(16)))
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(np.asarray(read_image(tmp_path / "x.png").image), expected)

    @pytest.mark.parametrize("ending", ["png", "tiff"])
    def test_sixteen_bit_values_are_scaled_not_clipped(self, tmp_path, ending):
        ramp = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
        Image.fromarray(ramp).save(tmp_path / f"x.{ending}")
        got = read_image(tmp_path / f"x.{ending}")
        assert got.note == "16-bit grey"
        assert np.array_equal(np.asarray(got.image)[..., 0], np.rint(ramp / 257).astype(np.uint8))

    def test_of_an_animation_the_first_frame_is_taken(self, tmp_path):
        frames = [Image.new("L", (30, 20), value) for value in (10, 200, 90)]
        frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
        got = read_image(tmp_path / "x.gif")
        assert "animated, first frame" in got.note
        assert np.unique(np.asarray(got.image)).tolist() == [10]

    def test_float_pixels_are_refused_by_name(self, tmp_path):
        Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tiff")
        with pytest.raises(ImageError, match=r"8- or 16-bit pixels in .*x\.tiff, but got floats"):
            read_image(tmp_path / "x.tiff")

    def test_integers_beyond_sixteen_bits_are_refused_with_their_range(self, tmp_path):
        Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "x.tiff")
        with pytest.raises(ImageError, match="70000"):
            read_image(tmp_path / "x.tiff")


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
    def test_an_image_is_turned_upright_exactly_once(self, tmp_path, ending, orientation):
        path = tmp_path / f"x.{ending}"
        options = {"lossless": True} if ending == "webp" else {}
        Image.fromarray(_noise()).save(path, exif=_exif(orientation), **options)
        got = read_image(path)
        assert np.array_equal(np.asarray(got.image), UPRIGHT[orientation](_noise()))
        assert got.orientation == orientation
        assert ("rotated by EXIF" in got.note) == (orientation != 1)
        again = ImageOps.exif_transpose(got.image)
        assert np.array_equal(np.asarray(again), np.asarray(got.image))

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("ending", ["png", "tiff"])
    @pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
    def test_a_mask_is_turned_as_its_image_is(self, tmp_path, mode, ending, orientation):
        if mode == "I;16":
            image = Image.fromarray(_corner().astype(np.uint16) * 65535)
        else:
            image = Image.fromarray(_corner()).convert(mode)
        image.save(tmp_path / f"x.{ending}", exif=_exif(orientation))
        got = read_mask(tmp_path / f"x.{ending}")
        assert np.array_equal(got, UPRIGHT[orientation](_corner()))

    def test_sixteen_bit_images_are_turned_too(self, tmp_path):
        values = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
        Image.fromarray(values).save(tmp_path / "x.tiff", exif=_exif(6))
        got = np.asarray(read_image(tmp_path / "x.tiff").image)[..., 0]
        assert np.array_equal(got, UPRIGHT[6](np.rint(values / 257).astype(np.uint8)))

    def test_a_png_that_tells_its_orientation_after_the_pixels_is_turned(self, tmp_path):
        buffer = io.BytesIO()
        Image.fromarray(_noise()).save(buffer, "PNG")
        exif = b"eXIf" + _exif(6).tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
        data = buffer.getvalue()
        (tmp_path / "x.png").write_bytes(data[:-12] + chunk + data[-12:])
        got = read_image(tmp_path / "x.png")
        assert got.orientation == 6
        assert np.array_equal(np.asarray(got.image), UPRIGHT[6](_noise()))

    @pytest.mark.parametrize("value", [0, 9, 77])
    def test_an_orientation_that_exif_does_not_define_means_as_stored(self, tmp_path, value):
        Image.fromarray(_noise()).save(tmp_path / "x.png", exif=_exif(value))
        got = read_image(tmp_path / "x.png")
        assert got.orientation == 1
        assert np.array_equal(np.asarray(got.image), _noise())


class TestMaskValues:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0, 127, 128, 255], [False, False, True, True]),
            ([0, 1, 1, 0], [False, True, True, False]),
            ([0, 0, 0, 0], [False] * 4),
            ([255] * 4, [True] * 4),
        ],
    )
    def test_above_half_is_inside_and_zero_one_files_are_understood(
        self, tmp_path, values, expected
    ):
        Image.fromarray(np.array([values], np.uint8)).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png").tolist() == [expected]

    def test_a_sixteen_bit_mask_is_cut_at_half_of_its_own_range(self, tmp_path):
        Image.fromarray(np.array([[0, 255, 32767, 32768]], np.uint16)).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png").tolist() == [[False, False, False, True]]


class TestDamage:
    @pytest.fixture
    def good(self, tmp_path) -> Path:
        Image.fromarray(_noise(200, 300)).save(tmp_path / "good.jpg")
        return tmp_path / "good.jpg"

    def _refused(self, path: Path, words: str) -> None:
        for read in (read_image, read_mask):
            with pytest.raises(ImageError, match=words) as caught:
                read(path)
            assert path.name in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_the_undamaged_neighbour_is_read(self, good):
        assert read_image(good).image.size == (300, 200)

    def test_a_missing_file(self, tmp_path):
        self._refused(tmp_path / "gone.jpg", "nothing there")

    def test_a_directory(self, tmp_path):
        (tmp_path / "folder.jpg").mkdir()
        self._refused(tmp_path / "folder.jpg", "directory")

    def test_a_file_of_zero_bytes(self, tmp_path):
        (tmp_path / "empty.jpg").touch()
        self._refused(tmp_path / "empty.jpg", "zero bytes")

    @pytest.mark.parametrize("content", [b"hello", b"\xff\xd8\xff\xe0", b"<html>not found</html>"])
    def test_a_file_that_is_no_image(self, tmp_path, content):
        (tmp_path / "x.jpg").write_bytes(content)
        self._refused(tmp_path / "x.jpg", "known format|decoding failed")

    def test_a_tiff_whose_pages_go_round_in_a_circle(self, tmp_path):
        out = io.BytesIO()
        Image.new("L", (8, 8)).save(out, "TIFF")
        data = bytearray(out.getvalue())
        first = struct.unpack_from("<I", data, 4)[0]
        end = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
        struct.pack_into("<I", data, end, first)  # after the first page comes the first
        (tmp_path / "x.tif").write_bytes(bytes(data))
        assert read_image(tmp_path / "x.tif").size == (8, 8)
        with pytest.raises(ImageError, match="Expected 5 channels"):
            read_image(tmp_path / "x.tif", channels=5)

    def test_more_pages_than_any_camera_has_channels_are_refused(self, tmp_path):
        pages = [Image.new("L", (1, 1)) for _ in range(1001)]
        pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
        with pytest.raises(ImageError, match=r"at most 1000 pages .* but got 1001"):
            read_image(tmp_path / "x.tif", channels=1001)

    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("place", [10, 12, 18, 22])
    def test_a_tiff_whose_header_says_that_it_has_no_pixels(
        self, tmp_path, place, channels, caplog, capfd
    ):
        out = io.BytesIO()
        Image.new("RGB", (8, 8)).save(out, "TIFF")
        damaged = bytearray(out.getvalue())
        damaged[place : place + 2] = b"\xff\x7f"
        (tmp_path / "x.tif").write_bytes(bytes(damaged))
        with pytest.raises(ImageError, match=r"x\.tif") as found:
            read_image(tmp_path / "x.tif", channels=channels)
        assert "\n" not in str(found.value)
        assert not capfd.readouterr().err  # tifffile has much to say

    @pytest.mark.parametrize("ending", ["jpg", "png", "tiff", "gif", "webp", "bmp"])
    def test_a_file_cut_in_half(self, tmp_path, ending):
        path = tmp_path / f"x.{ending}"
        Image.fromarray(_noise(200, 300)).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self._refused(path, "known format|decoding failed")

    def test_a_png_with_flipped_bytes(self, tmp_path):
        Image.fromarray(_noise(200, 300)).save(tmp_path / "x.png")
        data = bytearray((tmp_path / "x.png").read_bytes())
        data[len(data) // 2 : len(data) // 2 + 64] = b"\0" * 64
        (tmp_path / "x.png").write_bytes(bytes(data))
        self._refused(tmp_path / "x.png", "decoding failed")

    @pytest.mark.parametrize("side", [14_000, 40_000])
    def test_a_decompression_bomb_is_refused_before_it_is_decoded(self, tmp_path, side):
        # A PNG whose header claims side x side pixels; there are none behind it.
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
        data += struct.pack(">I", zlib.crc32(header))
        data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        (tmp_path / "bomb.png").write_bytes(data)
        self._refused(tmp_path / "bomb.png", "bomb")

    def test_the_largest_size_is_counted_in_pixels(self, good):
        assert read_image(good, max_pixels=60_000).image.size == (300, 200)
        with pytest.raises(ImageError, match=r"at most 59,999 pixels, but got 300 x 200"):
            read_image(good, max_pixels=59_999)


def test_decoding_in_threads_leaves_the_warning_filters_as_they_were(tmp_path):
    Image.fromarray(_noise()).save(tmp_path / "x.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: read_image(tmp_path / "x.png"), range(400)))
    assert list(warnings.filters) == before


def _cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def _stirred(data: bytes, seed: int) -> bytes:
    """Bytes changed at random behind the first ones, by which a format is known."""
    rng = np.random.default_rng(seed)
    found = np.frombuffer(data, np.uint8).copy()
    at = rng.integers(16, len(found), 12)
    found[at] = rng.integers(0, 256, 12)
    return found.tobytes()


class TestAnythingADecoderRaises:
    """It is one line that names the file, whatever the format and the ending."""

    FORMATS = ("AVIF", "BLP", "BMP", "DDS", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG",
               "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP", "XBM")  # fmt: skip

    def _written(self, name: str) -> bytes:
        Image.init()
        if name not in Image.SAVE:
            skip_if_old(name)
        mode = {"BLP": "P", "GIF": "P", "XBM": "1"}.get(name, "RGB")
        frames = [Image.fromarray(_noise() // k).convert(mode) for k in (1, 2, 3)]
        buffer = io.BytesIO()
        several = {"save_all": True, "append_images": frames[1:]}
        frames[0].save(buffer, name, **(several if name in Image.SAVE_ALL else {}))
        return buffer.getvalue()

    @pytest.mark.parametrize("ending", ["png", "jpg"])
    @pytest.mark.parametrize("name", FORMATS)
    def test_damage_is_an_error_of_the_image_or_is_read_over(self, tmp_path, name, ending):
        data = self._written(name)
        damaged = [_cut(data, part) for part in (0.1, 0.3, 0.5, 0.8, 0.95)]
        damaged += [_stirred(data, seed) for seed in range(25)]
        path = tmp_path / f"x.{ending}"
        for content in damaged:
            path.write_bytes(content)
            for read in (read_image, read_mask, read_header):
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        read(path)
                except ImageError as err:
                    lines = str(err).splitlines()
                    assert len(lines) == 1 and str(path) in lines[0]  # noqa: PT018 -- or none

    @pytest.mark.parametrize(
        "raised",
        [IndexError, RuntimeError, RecursionError, MemoryError, struct.error, KeyError, TypeError],
    )
    def test_of_any_class(self, tmp_path, monkeypatch, raised):
        Image.fromarray(_noise()).save(tmp_path / "x.png")

        def fails(*_args, **_kwargs):
            raise raised("something\nodd")

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fails)
        with pytest.raises(ImageError, match=r"x\.png, but decoding failed: .*something.*odd"):
            read_image(tmp_path / "x.png")

    @pytest.mark.parametrize("read", [read_image, read_mask, read_header])
    def test_what_is_no_file_is_named_and_not_waited_for(self, tmp_path, read):
        os.mkfifo(tmp_path / "x.png")
        with pytest.raises(ImageError, match=r"x\.png, but got a pipe"):
            read(tmp_path / "x.png")
        with pytest.raises(ImageError, match="but got a device"):
            read("/dev/zero")


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_is_read(tmp_path, lossless):
    Image.fromarray(_noise()).save(tmp_path / "x.webp", lossless=lossless)
    found = np.asarray(read_image(tmp_path / "x.webp").image)
    assert found.shape == _noise().shape
    assert not lossless or np.array_equal(found, _noise())
    assert read_header(tmp_path / "x.webp").size == (30, 20)


class TestHeic:
    """Photographs of telephones, where a plugin of Pillow is installed."""

    def test_it_is_read_if_the_plugin_is_there(self, tmp_path):
        heif = pytest.importorskip("pillow_heif")
        heif.register_heif_opener()
        smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None], (48, 1, 1)).repeat(3, 2)
        Image.fromarray(smooth.reshape(48, 64, 3)).save(tmp_path / "x.heic", quality=95)
        found = read_image(tmp_path / "x.heic").image
        assert found.size == (64, 48)
        assert np.abs(np.asarray(found).astype(int) - smooth.reshape(48, 64, 3)).mean() < 8
        assert read_header(tmp_path / "x.heic").size == (64, 48)

    def test_without_it_the_way_out_is_named(self, tmp_path, monkeypatch):
        (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 200)
        monkeypatch.setattr("xattn.images.decode.register_plugins", lambda: None)
        monkeypatch.setattr("PIL.Image.open", _unknown)
        with pytest.raises(ImageError, match=r"pillow-heif to read the HEIC .*xattn\[heic\]"):
            read_image(tmp_path / "x.heic")


def _unknown(file):
    raise UnidentifiedImageError
