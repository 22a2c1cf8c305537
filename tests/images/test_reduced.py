"""JPEGs that are far larger than needed are decoded at a reduced scale, and look the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from xattn.errors import ImageError
from xattn.images import Preprocessing, read_image

REAL = Path(__file__).parents[3] / "shared/data/isic2018/images"
LARGE = (3000, 2000)
SETTINGS = {
    "squash": Preprocessing(),
    "crop": Preprocessing(mode="crop", resize=256),
    "bicubic": Preprocessing(interpolation="bicubic"),
    "wide": Preprocessing(size=(128, 320), mode="crop", resize=330),
}


def skin(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Blobs, a hair, and the fine noise of a camera: width and height as given."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 220, (12, 16, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)).astype(int)
    pixels[:, size[0] // 3 : size[0] // 3 + 12] = 20
    pixels += rng.integers(-8, 9, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("large") / "a.jpg"
    skin(LARGE).save(path, quality=92)
    return path


@pytest.mark.parametrize("name", SETTINGS)
class TestALargeJpeg:
    def test_looks_the_same_to_the_model(self, large, name):
        p = SETTINGS[name]
        whole, reduced = read_image(large), read_image(large, enough=p.enough)
        assert reduced.image.width < LARGE[0]
        difference = p.pixels(whole.image).astype(int) - p.pixels(reduced.image, reduced.size)
        assert np.abs(difference).mean() < 1
        assert np.abs(difference).max() < 24  # at the edges of the hair

    def test_keeps_twice_the_size_that_is_needed(self, large, name):
        p = SETTINGS[name]
        reduced = read_image(large, enough=p.enough)
        least = p.enough(*LARGE)
        assert reduced.image.width >= least[0]
        assert reduced.image.height >= least[1]

    def test_says_how_large_the_original_is(self, large, name):
        assert read_image(large, enough=SETTINGS[name].enough).size == LARGE

    @pytest.mark.parametrize("orientation", range(2, 9))
    def test_is_turned_upright(self, tmp_path, name, orientation):
        p = SETTINGS[name]
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        skin((1500, 1000)).save(tmp_path / "a.jpg", exif=exif, quality=92)
        whole, reduced = (read_image(tmp_path / "a.jpg", enough=e) for e in (None, p.enough))
        assert reduced.size == whole.size == whole.image.size
        assert reduced.orientation == orientation
        difference = p.pixels(whole.image).astype(int) - p.pixels(reduced.image, reduced.size)
        assert np.abs(difference).mean() < 1


def test_an_image_that_is_not_far_larger_is_decoded_in_full(tmp_path):
    skin((600, 450)).save(tmp_path / "a.jpg")
    p = Preprocessing()
    whole, same = read_image(tmp_path / "a.jpg"), read_image(tmp_path / "a.jpg", enough=p.enough)
    assert np.array_equal(np.asarray(whole.image), np.asarray(same.image))


def test_other_formats_are_decoded_in_full(tmp_path):
    skin((1500, 1000)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", enough=lambda w, h: (8, 8)).image.size == (1500, 1000)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_are_reduced_and_noted(tmp_path, mode):
    skin((1500, 1000)).convert(mode).save(tmp_path / "a.jpg")
    p = Preprocessing()
    whole, reduced = (read_image(tmp_path / "a.jpg", enough=e) for e in (None, p.enough))
    assert reduced.note == whole.note
    assert reduced.image.mode == "RGB"
    difference = p.pixels(whole.image).astype(int) - p.pixels(reduced.image, reduced.size)
    assert np.abs(difference).mean() < 1


def test_a_file_that_is_cut_short_is_still_refused(large, tmp_path):
    data = large.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="decoding failed"):
        read_image(tmp_path / "cut.jpg", enough=Preprocessing().enough)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"real images are not at {REAL}")
def test_real_images_look_the_same_to_the_model():
    p = Preprocessing(size=(64, 64))
    for file in sorted(REAL.glob("*.jpg"))[::200][:8]:
        whole, reduced = read_image(file), read_image(file, enough=p.enough)
        difference = p.pixels(whole.image).astype(int) - p.pixels(reduced.image, reduced.size)
        assert np.abs(difference).mean() < 1.5
