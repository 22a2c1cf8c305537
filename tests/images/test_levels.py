"""Images of any depth are scaled by one rule, whoever decodes them, and keep their depth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torch import nn

import xattn
from xattn.attribution.run.sources import DecodedImage, Named, decode
from xattn.errors import ImageError, UsageError
from xattn.images import Preprocessing, read_image
from xattn.images.levels import LevelError, to_levels

RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)


def deep(top: int, kind=np.uint16) -> Image.Image:
    return Image.fromarray(np.rint(RAMP * top).astype(kind))


IMAGES = {
    "8 bits": lambda: deep(255, np.uint8),
    "12 of 16 bits": lambda: deep(4095),
    "16 bits": lambda: deep(65535),
    "32 bits": lambda: deep(60000, np.int32),
    "palette": lambda: deep(255, np.uint8).convert("P"),
    "alpha": lambda: deep(255, np.uint8).convert("RGBA"),
    "grey with alpha": lambda: deep(255, np.uint8).convert("LA"),
    "CMYK": lambda: deep(255, np.uint8).convert("CMYK"),
    "1 bit": lambda: deep(255, np.uint8).convert("1"),
}
WINDOWS = (None, "auto", (0.0, 4095.0), (1000.0, 3000.0))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", IMAGES)
def test_a_file_an_image_and_an_array_give_one_input(tmp_path, kind, window):
    image = IMAGES[kind]()
    pre = Preprocessing(size=(24, 32), window=window)
    model = xattn.wrap(
        nn.Sequential(nn.Flatten(), nn.Linear(24 * 32 * 3, 2)),
        classes=["a", "b"],
        preprocessing=pre,
    )
    image.save(tmp_path / "x.tiff")
    found = decode(Named("x", tmp_path / "x.tiff", "x.tiff"), pre)
    assert isinstance(found, DecodedImage)
    expected = found.pixels
    given = [image] + ([np.asarray(image)] if image.mode in ("L", "I;16", "I") else [])
    for one in given:
        again = model.preprocess(one)
        mean, std = (np.array(v)[:, None, None] for v in (pre.mean, pre.std))
        pixels = ((again.numpy() * std + mean) * 255).transpose(1, 2, 0)
        assert np.abs(pixels - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("top", "note"),
    [
        (65535, "16-bit grey"),
        (4095, "16-bit grey, narrow range of 12 bits"),
        (1023, "16-bit grey, narrow range of 10 bits"),
        (20000, "16-bit grey"),
        (0, "16-bit grey"),
    ],
)
@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_a_file_that_uses_a_small_part_of_its_bits_says_so(tmp_path, ending, top, note):
    deep(top).save(tmp_path / f"x.{ending}")
    assert read_image(tmp_path / f"x.{ending}").note == note


def test_a_narrow_range_far_from_zero_is_narrow_too(tmp_path):
    Image.fromarray((32768 + RAMP * 4000).astype(np.uint16)).save(tmp_path / "x.png")
    assert "narrow range of 12 bits" in read_image(tmp_path / "x.png").note


def test_a_window_gives_a_narrow_range_all_levels_and_clips_what_is_beyond(tmp_path):
    deep(4095).save(tmp_path / "x.png")
    for window, note in (("auto", "window auto"), ((0.0, 4095.0), "window 0 to 4095")):
        found = read_image(tmp_path / "x.png", window=window)
        assert found.note == f"16-bit grey, {note}"
        assert np.abs(found.levels - RAMP * 255).max() < 255 / 4095
    clipped = np.asarray(read_image(tmp_path / "x.png", window=(2000.0, 3000.0)).image)[..., 0]
    assert clipped[0, 0] == 0
    assert clipped[-1, -1] == 255


def test_a_window_does_nothing_to_8_bits():
    image = deep(255, np.uint8)
    assert np.array_equal(
        np.asarray(to_levels(image, (0.0, 10.0))[0]), np.asarray(image.convert("RGB"))
    )


def test_floats_need_a_window_and_are_read_with_one(tmp_path):
    Image.fromarray((RAMP * 2 - 1).astype(np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(ImageError, match=r"x\.tiff, but got floats of -1 to 1; say with --w"):
        read_image(tmp_path / "x.tiff")
    found = read_image(tmp_path / "x.tiff", window=(-1.0, 1.0))
    assert found.note == "float grey, window -1 to 1"
    assert np.abs(found.levels - RAMP * 255).max() < 1e-3


def test_values_that_are_none_are_refused():
    with pytest.raises(LevelError, match="finite"):
        to_levels(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "auto")


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_colours_of_16_bits_are_read_whole(tmp_path, ending):
    import cv2

    top = np.array([4095, 2000, 1000])
    colours = np.rint(RAMP[..., None] * top).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"x.{ending}"), colours[..., ::-1])
    found = read_image(tmp_path / f"x.{ending}")
    assert found.note == "16-bit colour, narrow range of 12 bits"
    found = read_image(tmp_path / f"x.{ending}", window=(0.0, 4095.0))
    assert found.note == "16-bit colour, window 0 to 4095"
    expected = colours / 4095 * 255
    assert np.abs(found.levels - expected).max() < 1e-4


@pytest.mark.parametrize("window", [(3, 3), (5, 1), (0, float("nan")), (1,), (1, 2, 3)])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(UsageError, match="a window of two values"):
        Preprocessing(window=window)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_window_travels_with_the_record_and_is_absent_where_there_is_none(window):
    pre = Preprocessing(window=window)
    assert ("window" in pre.to_dict()) == (window is not None)
    assert Preprocessing.from_dict(pre.to_dict()) == pre
