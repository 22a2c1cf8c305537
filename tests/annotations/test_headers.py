"""A header says what decoding the whole file would find."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from xattn.annotations.headers import read_header
from xattn.errors import ImageError
from xattn.images import read_image


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _agrees(path) -> bool:
    header, decoded = read_header(path), read_image(path)
    return (header.size, header.orientation) == (decoded.image.size, decoded.orientation)


@pytest.mark.parametrize("orientation", [None, *range(10)])
@pytest.mark.parametrize("ending", ["jpg", "png", "tiff", "webp"])
def test_size_and_orientation_agree_with_the_decoder(tmp_path, ending, orientation):
    path = tmp_path / f"x.{ending}"
    extra = {} if orientation is None else {"exif": _exif(orientation)}
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path, **extra)
    assert _agrees(path)
    assert read_header(path).size == ((20, 30) if orientation in (5, 6, 7, 8) else (30, 20))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_the_mode_makes_no_difference(tmp_path, mode):
    Image.fromarray(np.zeros((20, 30), np.uint8)).convert(mode).save(tmp_path / "x.png")
    assert read_header(tmp_path / "x.png").size == (30, 20)


def test_a_png_with_other_text_is_still_read_without_decoding(tmp_path, monkeypatch):
    info = PngInfo()
    info.add_text("Software", "a drawing tool")
    info.add_itxt("Title", "mask")
    Image.new("L", (30, 20)).save(tmp_path / "x.png", pnginfo=info)
    monkeypatch.setattr(Image, "open", None)
    assert read_header(tmp_path / "x.png").size == (30, 20)


def test_an_orientation_in_xmp_text_is_seen(tmp_path):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x xmlns:tiff="t" tiff:Orientation="6"/>')
    Image.new("L", (30, 20)).save(tmp_path / "x.png", pnginfo=info)
    assert read_header(tmp_path / "x.png").size == (20, 30)
    assert _agrees(tmp_path / "x.png")


class TestDamage:
    def _refused(self, path, words: str) -> None:
        with pytest.raises(ImageError, match=words) as caught:
            read_header(path)
        assert path.name in str(caught.value)

    def test_a_missing_file(self, tmp_path):
        self._refused(tmp_path / "gone.png", "nothing there")

    def test_a_directory(self, tmp_path):
        (tmp_path / "x.png").mkdir()
        self._refused(tmp_path / "x.png", "directory")

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG", b"\xff\xd8\xff"])
    def test_a_file_that_is_no_image(self, tmp_path, content):
        (tmp_path / "x.png").write_bytes(content)
        self._refused(tmp_path / "x.png", "known format|reading failed")

    @pytest.mark.parametrize("cut", [9, 20, 30, 60, -13, -12])
    def test_a_png_without_its_end(self, tmp_path, cut):
        noise = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "x.png")
        data = (tmp_path / "x.png").read_bytes()
        assert read_header(tmp_path / "x.png").size == (30, 20)
        (tmp_path / "x.png").write_bytes(data[:cut])
        self._refused(tmp_path / "x.png", "ends too early")

    def test_a_size_that_is_too_large_to_decode(self, tmp_path):
        path = tmp_path / "x.png"
        Image.new("L", (30, 20)).save(path)
        data = bytearray(path.read_bytes())
        data[16:24] = (40_000).to_bytes(4, "big") * 2
        path.write_bytes(bytes(data))
        self._refused(path, "at most 178,956,970 pixels")
