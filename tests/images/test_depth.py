"""A network sees every bit of a file; what is cut is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.images.deep_files import DEEP_FILES
from xattn.images import Preprocessing, find_images, read_image
from xattn.images.levels import in_8_bits, like, stretched

SIDE = 40
ACROSS = np.linspace(0, 1, 60)
WAVES = 0.5 + 0.4 * np.sin(9 * ACROSS[:SIDE, None]) * np.cos(7 * ACROSS[None])


def saved(tmp_path, kind):
    """Write a file of a kind; return what is decoded of it, and its fractions (h, w, 3)."""
    file = DEEP_FILES[kind]
    fractions = file.save(tmp_path / file.name, WAVES)
    (found,) = find_images(tmp_path / file.name)
    if fractions.ndim == 2:
        fractions = np.stack([fractions] * 3, axis=-1)
    return read_image(found.path, window=file.window), fractions


@pytest.mark.parametrize("kind", DEEP_FILES)
def test_every_bit_of_a_file_is_there(tmp_path, kind):
    decoded, fractions = saved(tmp_path, kind)
    assert decoded.size == fractions.shape[1::-1] == (60, SIDE)
    pixels = Preprocessing(size=(SIDE, 60)).pixels(decoded.levels)
    assert pixels.dtype == np.float32
    assert np.abs(pixels / 255 - fractions).max() < 1e-6
    assert np.abs(np.asarray(decoded.image) - fractions * 255).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("kind", ["PNG of 16 bits", "TIFF of 16-bit colours"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resampling_is_that_of_torchvision_on_floats(tmp_path, kind, interpolation):
    decoded, fractions = saved(tmp_path, kind)
    image = torch.from_numpy(fractions).movedim(-1, 0)
    way = v2.InterpolationMode(interpolation)
    for pre, steps in (
        (Preprocessing(size=(13, 17), interpolation=interpolation), [v2.Resize((13, 17), way)]),
        (
            Preprocessing(size=(16, 16), mode="crop", resize=20, interpolation=interpolation),
            [v2.Resize(20, way), v2.CenterCrop(16)],
        ),
    ):
        expected = v2.Compose(steps)(image).clamp(0, 1).movedim(0, -1).numpy()
        assert np.abs(pre.pixels(decoded.levels) / 255 - expected).max() < 1e-5


def test_an_image_of_8_bits_stays_so(tmp_path):
    Image.fromarray(np.rint(WAVES * 255).astype(np.uint8)).save(tmp_path / "x.png")
    decoded = read_image(tmp_path / "x.png")
    assert decoded.image is decoded.levels
    assert Preprocessing(size=(9, 9)).pixels(decoded.levels).dtype == np.uint8


def test_a_window_of_256_whole_values_is_held_by_8_bits():
    values = np.arange(300, 720, dtype=np.uint16).reshape(20, 21)
    found = stretched(values, 400, 655)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.clip(values.astype(int) - 400, 0, 255))
    assert stretched(values, 400, 656).dtype == np.float32
    assert stretched(values + 0.5, 400, 655).dtype == np.float32


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_tiff_has_the_size_that_it_is_shown_at(tmp_path, orientation):
    import tifffile

    for kind in (np.uint8, np.uint16):
        pixels = np.zeros((12, 20, 3), kind)
        tag = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", extratags=tag)
        found = read_image(tmp_path / "x.tif")
        assert found.size == found.image.size == ((12, 20) if orientation > 4 else (20, 12))
        assert found.orientation == orientation


def _avif(path):
    import cv2

    colours = np.full((32, 32, 3), 500, np.uint16)
    cv2.imwrite(str(path), colours, [cv2.IMWRITE_AVIF_DEPTH, 10])


def _heic(path):
    pillow_heif = pytest.importorskip("pillow_heif")
    colours = np.full((32, 32, 3), 30000, np.uint16)
    pillow_heif.from_bytes(mode="RGB;16", size=(32, 32), data=colours.tobytes()).save(path)


def _ppm(path):
    path.write_bytes(b"P6 32 32 4095\n" + np.full((32, 32, 3), 2000, ">u2").tobytes())


CUT = {"x.avif": (_avif, 10), "x.heic": (_heic, 10), "x.ppm": (_ppm, 12)}


@pytest.mark.parametrize("name", CUT)
def test_what_is_not_read_whole_says_so(tmp_path, name):
    write, bits = CUT[name]
    write(tmp_path / name)
    found = read_image(tmp_path / name)
    assert isinstance(found.levels, Image.Image)
    assert f"{bits}-bit colour, cut to 8 bits" in found.note


def test_pixels_of_a_depth():
    values = np.array([-3.0, 0.4, 0.6, 254.5, 300.0])
    assert like(values, np.uint8).tolist() == [0, 0, 1, 254, 255]
    assert np.allclose(like(values, np.float32), [0, 0.4, 0.6, 254.5, 255])
    grey = np.full((2, 3), 7.6, np.float32)
    assert np.asarray(in_8_bits(grey)).shape == (2, 3, 3)
    assert np.asarray(in_8_bits(grey)).max() == 8
