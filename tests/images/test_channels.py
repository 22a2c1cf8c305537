"""Images of any number of channels are read whole, or refused with both numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from xattn.annotations.headers import read_header
from xattn.errors import ImageError
from xattn.images import Preprocessing, find_images, read_image

RNG = np.random.default_rng(0)
FIVE = RNG.integers(0, 256, (20, 28, 5), dtype=np.uint8)
FOUR = FIVE[..., :4]
DEEP = RNG.integers(0, 65536, (20, 28, 5), dtype=np.uint16)


def planes(pixels):
    return np.moveaxis(pixels, -1, 0)


def tiff(path, pixels, **how):
    tifffile.imwrite(path, pixels, photometric="minisblack", **how)


def pages(path, *parts):
    first, *rest = [Image.fromarray(part) for part in parts]
    first.save(path, save_all=True, append_images=rest, compression="tiff_lzw")


FILES = {
    "interleaved.tif": (lambda p: tiff(p, FIVE, planarconfig="contig"), FIVE),
    "planes.tif": (lambda p: tiff(p, planes(FIVE), planarconfig="separate"), FIVE),
    "packed.tif": (lambda p: tiff(p, FIVE, planarconfig="contig", compression="zlib"), FIVE),
    "deep.tif": (lambda p: tiff(p, DEEP, planarconfig="contig"), DEEP),
    "pages.tif": (lambda p: pages(p, *planes(FIVE)), FIVE),
    "colours and a mask.tif": (lambda p: pages(p, FOUR[..., :3], FOUR[..., 3]), FOUR),
    "two views.tif": (
        lambda p: pages(p, FIVE[..., :3], FIVE[..., 2:]),
        np.concatenate([FIVE[..., :3], FIVE[..., 2:]], axis=-1),
    ),
    "last.npy": (lambda p: np.save(p, FIVE), FIVE),
    "first.npy": (lambda p: np.save(p, planes(DEEP)), DEEP),
    "alpha.png": (lambda p: Image.fromarray(FOUR).save(p), FOUR),
    "stack.npz": (lambda p: np.savez(p, images=FIVE[None]), FIVE),
    "planes.npz": (lambda p: np.savez(p, images=planes(DEEP)[None]), DEEP),
}


@pytest.mark.parametrize("name", FILES)
def test_every_channel_is_read_at_its_depth(tmp_path, name):
    write, expected = FILES[name]
    write(tmp_path / name)
    (one,) = find_images(tmp_path / name)
    decoded = read_image(one.path, channels=expected.shape[2])
    scale = 257 if expected.dtype == np.uint16 else 1
    n = expected.shape[2]
    pixels = Preprocessing(size=(20, 28), mean=(0.0,) * n, std=(1.0,) * n).pixels(decoded.levels)
    assert pixels.dtype == (np.float32 if scale > 1 else np.uint8)
    np.testing.assert_allclose(pixels, expected / scale, atol=1e-4)
    assert decoded.size == read_header(one.path).size == (28, 20)
    assert decoded.note.startswith(f"{n} channels")
    shown = np.asarray(decoded.image)
    assert np.abs(shown - expected[..., :3] / scale).max() <= 0.51


@pytest.mark.parametrize("name", FILES)
def test_another_number_is_refused_with_both(tmp_path, name):
    write, expected = FILES[name]
    write(tmp_path / name)
    (one,) = find_images(tmp_path / name)
    with pytest.raises(
        ImageError, match=rf"Expected 7 channels in .*, but got {expected.shape[2]}$"
    ):
        read_image(one.path, channels=7)


@pytest.mark.parametrize(
    "name", [n for n, (_, e) in FILES.items() if e.shape[2] == 5 and n != "pages.tif"]
)
def test_a_network_of_colours_does_not_see_the_first_of_many(tmp_path, name):
    FILES[name][0](tmp_path / name)
    (one,) = find_images(tmp_path / name)
    with pytest.raises(ImageError, match=r"Expected 3 channels in .* or grey, but got 5$"):
        read_image(one.path)


def test_each_channel_is_resampled_by_itself(tmp_path):
    tiff(tmp_path / "x.tif", FIVE, planarconfig="contig")
    found = read_image(tmp_path / "x.tif", channels=5)
    pre = Preprocessing(size=(9, 11), mean=(0.0,) * 5, std=(1.0,) * 5)
    for i in range(5):
        alone = pre.pixels(Image.fromarray(FIVE[..., i]).convert("RGB"))
        assert np.array_equal(pre.pixels(found.levels)[..., i], alone[..., 0])


def test_arrays_that_are_no_image_are_passed_over(tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(9))
    np.save(tmp_path / "table.npy", np.zeros((500, 14)))
    np.save(tmp_path / "a.npy", FIVE)
    assert [one.id for one in find_images(tmp_path)] == ["a"]


def test_pages_of_two_sizes_are_refused(tmp_path):
    pages(tmp_path / "x.tif", FIVE[..., 0], FIVE[:10, :, 0])
    with pytest.raises(ImageError, match=r"Expected pages of one size in .*x\.tif"):
        read_image(tmp_path / "x.tif", channels=2)


def test_mean_and_deviation_have_a_number_for_each_channel():
    from xattn.errors import UsageError

    with pytest.raises(UsageError, match="as many numbers in mean as in std"):
        Preprocessing(mean=(0.5,) * 4)
