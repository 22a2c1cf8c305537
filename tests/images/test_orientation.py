"""Arrays are turned as Pillow turns images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from xattn.images.orientation import SWAPPED, turn_upright


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["mask", "grey", "colours"])
def test_an_array_is_turned_as_pillow_turns_an_image(kind, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 7, 3), dtype=np.uint8)
    pixels = {"mask": pixels[..., 0] < 128, "grey": pixels[..., 0], "colours": pixels}[kind]
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    turned = turn_upright(pixels, orientation)
    assert np.array_equal(turned, ImageOps.exif_transpose(image))
    assert (turned.shape[:2] == (7, 4)) == (orientation in SWAPPED)
    assert turned.flags.c_contiguous
