"""Masks as tools write them: what is inside is read as it was drawn, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xattn.errors import ImageError
from xattn.images import read_mask
from xattn.images.masks import MaskError, inside

DRAWN = np.zeros((40, 60), dtype=bool)
DRAWN[8:30, 15:44] = True
DRAWN[12:16, 20:24] = False
NOTHING = np.zeros((40, 60), dtype=bool)
ALL = ~NOTHING


def levels(mask, value, kind=np.uint8) -> Image.Image:
    return Image.fromarray(np.where(mask, value, 0).astype(kind))


def palette(mask, index, *colours) -> Image.Image:
    """An image of indices; colours are those of the indices from 0 on."""
    image = Image.fromarray(np.where(mask, index, 0).astype(np.uint8)).convert("L")
    found = Image.new("P", image.size)
    found.putdata(np.asarray(image).ravel().tolist())
    found.putpalette([value for colour in colours for value in colour])
    return found


def labelme(mask, index=1) -> Image.Image:
    """Indices with the colours of PASCAL VOC, as labelme and many data sets have them."""
    colours = []
    for label in range(256):
        r = g = b = 0
        for j in range(8):
            r |= (label >> 3 * j & 1) << 7 - j
            g |= (label >> 3 * j + 1 & 1) << 7 - j
            b |= (label >> 3 * j + 2 & 1) << 7 - j
        colours.append((r, g, b))
    return palette(mask, index, *colours)


def colour(mask, value, ground=(0, 0, 0)) -> Image.Image:
    return Image.fromarray(np.where(mask[..., None], value, ground).astype(np.uint8))


def alpha(mask, ink, ground=None, opacity=255) -> Image.Image:
    pixels = np.zeros((*mask.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(mask[..., None], ink, ink if ground is None else ground)
    pixels[..., 3] = np.where(mask, opacity, 0)
    return Image.fromarray(pixels)


KINDS = {
    "0 and 255": lambda m: levels(m, 255),
    "0 and 1": lambda m: levels(m, 1),
    "one bit": lambda m: Image.fromarray(m),
    "128": lambda m: levels(m, 128),
    "16 bits, 255": lambda m: levels(m, 255, np.uint16),
    "16 bits, 65535": lambda m: levels(m, 65535, np.uint16),
    "16 bits, 1": lambda m: levels(m, 1, np.uint16),
    "16 bits, 40000": lambda m: levels(m, 40000, np.uint16),
    "palette of labelme": labelme,
    "palette of labelme, another label": lambda m: labelme(m, 3),
    "palette of red": lambda m: palette(m, 1, (0, 0, 0), (255, 0, 0)),
    "palette of dark green": lambda m: palette(m, 1, (0, 0, 0), (0, 60, 0)),
    "palette of greys": lambda m: palette(m, 1, (0, 0, 0), (255, 255, 255)),
    "palette, white first": lambda m: palette(~m, 1, (255, 255, 255), (0, 0, 0)),
    "palette of 0 and 1": lambda m: palette(m, 1, *[(i, i, i) for i in range(256)]),
    "palette on white": lambda m: palette(m, 1, (255, 255, 255), (200, 0, 0)),
    "palette of two colours": lambda m: palette(m, 1, (68, 1, 84), (253, 231, 37)),
    "red": lambda m: colour(m, (255, 0, 0)),
    "dark green": lambda m: colour(m, (0, 100, 0)),
    "blue": lambda m: colour(m, (0, 0, 255)),
    "labelme's dark red": lambda m: colour(m, (128, 0, 0)),
    "white": lambda m: colour(m, (255, 255, 255)),
    "red on white": lambda m: colour(m, (255, 0, 0), (255, 255, 255)),
    "alpha, black ink": lambda m: alpha(m, (0, 0, 0)),
    "alpha, white ink": lambda m: alpha(m, (255, 255, 255)),
    "alpha, red ink on black": lambda m: alpha(m, (255, 0, 0), (0, 0, 0)),
    "alpha, green ink on white": lambda m: alpha(m, (0, 200, 0), (255, 255, 255)),
    "alpha of half": lambda m: alpha(m, (255, 255, 0), (0, 0, 0), opacity=128),
    "opaque alpha": lambda m: colour(m, (255, 255, 255)).convert("RGBA"),
    "grey with alpha": lambda m: levels(m, 255).convert("LA"),
    "floats of 1": lambda m: levels(m, 1.0, np.float32),
    "floats of 0.9": lambda m: levels(m, 0.9, np.float32),
    "floats of 255": lambda m: levels(m, 255.0, np.float32),
    "32 bits": lambda m: levels(m, 255, np.int32),
}
MANY_BITS = {"F", "I", "I;16"}


def endings(image: Image.Image) -> list[str]:
    if image.mode in ("F", "I"):
        return [".tiff"]
    if image.mode == "I;16":
        return [".png", ".tiff"]
    lossless = [".png", ".tiff"]
    return lossless + ([".bmp", ".gif"] if image.mode in ("L", "P", "1") else [])


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_drawn_is_inside(tmp_path, kind):
    image = KINDS[kind](DRAWN)
    for ending in endings(image):
        image.save(tmp_path / f"m{ending}")
        if (kind, ending) == ("palette of greys", ".bmp"):  # Pillow takes its bytes for bits
            with pytest.raises(ImageError, match=r"BMP of two greys in 8 bits .* save it as PNG"):
                read_mask(tmp_path / f"m{ending}")
            continue
        assert np.array_equal(read_mask(tmp_path / f"m{ending}"), DRAWN), ending


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if ("on white" not in k or "ink" in k) and k != "palette of greys"]
)
def test_a_mask_of_nothing_is_empty(tmp_path, kind):
    image = KINDS[kind](NOTHING)
    for ending in endings(image):
        image.save(tmp_path / f"m{ending}")
        assert not read_mask(tmp_path / f"m{ending}").any(), ending


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if not k.startswith(("alpha, black", "palette"))]
)
def test_a_mask_of_everything_is_full(kind):
    assert inside(KINDS[kind](ALL)).all()


@pytest.mark.parametrize(
    "kind", ["0 and 255", "red", "white", "labelme's dark red", "red on white"]
)
@pytest.mark.parametrize("quality", [60, 75, 95])
def test_a_jpegs_ringing_is_not_inside(tmp_path, kind, quality):
    large = np.kron(DRAWN, np.ones((8, 8), dtype=bool))
    KINDS[kind](large).save(tmp_path / "m.jpg", quality=quality)
    found = read_mask(tmp_path / "m.jpg")
    union = (found | large).sum()
    assert (found & large).sum() / union > 0.97


def test_an_outline_that_was_scaled_stays_where_half_is(tmp_path):
    KINDS["red"](DRAWN).resize((120, 80), Image.Resampling.BILINEAR).save(tmp_path / "m.png")
    found = read_mask(tmp_path / "m.png")
    expected = np.kron(DRAWN, np.ones((2, 2), dtype=bool))
    assert (found == expected).mean() > 0.98


REFUSED = {
    "a label map of one label": (lambda m: levels(m, 2), "the values 0, 2 .622 pixels"),
    "grey below half": (lambda m: levels(m, 100), "the values 0, 100"),
    "many greys below half": (
        lambda m: Image.fromarray(np.arange(2400).reshape(40, 60).astype(np.uint8) % 100),
        "none above 99",
    ),
    "a label map": (
        lambda m: Image.fromarray(np.where(m, 2, 1).astype(np.uint8)),
        "the values 1, 2",
    ),
    "a label map with a void": (
        lambda m: Image.fromarray(np.where(m, 3, 255).astype(np.uint8)),
        "a map of the labels 3, 255; write a mask for each",
    ),
    "labels of a palette": (
        lambda m: Image.composite(labelme(m, 1), labelme(ALL, 2), Image.fromarray(m)),
        "a map of the labels 1, 2 of a palette; write a mask for each",
    ),
    "16 bits of 12": (lambda m: levels(m, 4095, np.uint16), "the values 0, 4095"),
    "floats below half": (lambda m: levels(m, 0.4, np.float32), "the values 0, 0.4"),
    "floats below zero": (lambda m: levels(m, -1.0, np.float32), "but got -1 to 0"),
    "floats that are none": (lambda m: levels(m, np.nan, np.float32), "0 to 65535"),
    "two colours": (
        lambda m: Image.fromarray(
            np.where(m[..., None], (255, 0, 0), np.where(ALL[..., None], (0, 0, 255), 0)).astype(
                np.uint8
            )
        ),
        "about 2 colours; write a mask for each",
    ),
    "two colours on black": (
        lambda m: Image.fromarray(
            np.where(
                m[..., None],
                (255, 0, 0),
                np.where(np.arange(60)[None, :, None] > 50, (0, 255, 0), (0, 0, 0)),
            ).astype(np.uint8)
        ),
        "about 3 colours",
    ),
    "a photograph": (
        lambda m: Image.fromarray(
            np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        ),
        "an image of many colours",
    ),
    "faint alpha": (lambda m: alpha(m, (255, 0, 0), opacity=90), "none above 90 of 255"),
    "a drawing that is transparent": (
        lambda m: alpha(m, (255, 0, 0), (0, 0, 0), opacity=0),
        "none above 0 of 255",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_say_what_is_inside_is_a_problem_with_the_way_out(tmp_path, kind):
    make, words = REFUSED[kind]
    image = make(DRAWN)
    path = tmp_path / ("m.tiff" if image.mode == "F" else "m.png")
    image.save(path)
    with pytest.raises(ImageError, match=words) as caught:
        read_mask(path)
    line = str(caught.value)
    assert line.startswith("Expected ")
    assert str(path) in line
    assert "write" in line
    assert "\n" not in line


def test_a_mask_with_its_corners_cut_transparent_is_read_by_its_colours():
    pixels = np.asarray(colour(DRAWN, (255, 255, 255)).convert("RGBA")).copy()
    pixels[:5, :5, 3] = 0
    assert np.array_equal(inside(Image.fromarray(pixels)), DRAWN)


@given(
    values=st.lists(st.integers(0, 255), min_size=12, max_size=12),
    mode=st.sampled_from(["L", "P", "LA", "RGB", "RGBA", "I;16", "I", "F", "1", "CMYK"]),
)
def test_a_mask_that_is_read_as_empty_has_nothing_in_it(values, mode):
    array = np.array(values, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(array)
    if mode == "I;16":
        image = Image.fromarray(array.astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    try:
        found = inside(image)
    except MaskError as err:
        assert str(err).startswith("Expected")  # noqa: PT017 -- or none
        return
    assert found.shape == (3, 4)
    if mode != "1":
        assert found.any() == array.any()
