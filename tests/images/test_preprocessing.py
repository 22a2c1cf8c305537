"""What the model is fed is what torchvision would have fed it, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from xattn.errors import CheckpointError, ImageError, UsageError
from xattn.images import Preprocessing
from xattn.images.decode import MAX_PIXELS

FILTERS = ["bilinear", "bicubic", "lanczos", "nearest"]
sides = st.integers(3, 200)


def _image(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(sides, sides, st.integers(1, 60), st.integers(1, 60), st.sampled_from(FILTERS))
@settings(deadline=None, max_examples=60)
def test_squash_equals_torchvisions_resize(width, height, out_height, out_width, name):
    image = _image(width, height)
    mode = InterpolationMode(name)
    expected = transforms.Resize((out_height, out_width), mode, antialias=True)(image)
    got = Preprocessing(size=(out_height, out_width), interpolation=name).pixels(image)
    assert np.array_equal(got, np.asarray(expected))


@given(sides, sides, st.integers(1, 60), st.data(), st.sampled_from(FILTERS))
@settings(deadline=None, max_examples=100)
def test_crop_equals_torchvisions_resize_and_center_crop(width, height, short, data, name):
    image = _image(width, height)
    size = data.draw(st.tuples(st.integers(1, short), st.integers(1, short)))
    resize = transforms.Resize(short, InterpolationMode(name), antialias=True)
    expected = transforms.Compose([resize, transforms.CenterCrop(size)])(image)
    preprocessing = Preprocessing(size=size, mode="crop", resize=short, interpolation=name)
    assert np.array_equal(preprocessing.pixels(image), np.asarray(expected))


@given(sides, sides, st.integers(1, 60), st.data())
@settings(deadline=None, max_examples=60)
def test_the_view_is_the_part_of_the_image_that_the_pixels_come_from(width, height, short, data):
    size = data.draw(st.tuples(st.integers(1, short), st.integers(1, short)))
    view = Preprocessing(size=size, mode="crop", resize=short).view(width, height)
    left, top, right, bottom = view.box
    assert (view.height, view.width) == size
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    # The box is centred, up to the rounding of one scaled pixel.
    pixel = max(width, height) / int(short * max(width, height) / min(width, height))
    pixel = max(pixel, min(width, height) / short)
    assert abs((left + right) / 2 - width / 2) <= pixel
    assert abs((top + bottom) / 2 - height / 2) <= pixel


def test_a_ramp_shows_that_view_and_pixels_agree_on_position():
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (90, 240, 3))
    preprocessing = Preprocessing(size=(32, 32), mode="crop", resize=40)
    view = preprocessing.view(240, 90)
    centres = view.box[0] + (np.arange(32) + 0.5) * (view.box[2] - view.box[0]) / 32 - 0.5
    got = preprocessing.pixels(Image.fromarray(ramp.copy()))[16, :, 0]
    assert np.abs(got - centres).max() <= 1.0


def test_squash_sees_the_whole_image():
    assert Preprocessing(size=(8, 9)).view(31, 17).box == (0, 0, 31, 17)


def test_a_hair_thin_image_is_refused_only_where_scaling_it_would_fill_the_memory():
    thin = Image.new("RGB", (1, 1 + MAX_PIXELS // 224**2))
    with pytest.raises(ImageError, match=f"got 1 x {thin.height} pixels"):
        Preprocessing(mode="crop").pixels(thin)
    assert Preprocessing(mode="squash").pixels(thin).shape == (224, 224, 3)


class TestRecord:
    @pytest.mark.parametrize(
        "preprocessing",
        [
            Preprocessing(),
            Preprocessing(size=(96, 64), mode="crop", resize=128, interpolation="bicubic"),
            Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        ],
    )
    def test_what_is_written_comes_back_the_same(self, preprocessing):
        assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing

    def test_an_unknown_key_is_named_with_its_likely_meaning(self):
        with pytest.raises(CheckpointError, match="'sizes'; did you mean 'size'"):
            Preprocessing.from_dict({"sizes": [224, 224]})

    @pytest.mark.parametrize(
        ("wrong", "right", "words"),
        [
            ({"interpolation": "bilinaer"}, {"interpolation": "bilinear"}, "did you mean"),
            ({"mode": "pad"}, {"mode": "squash"}, "'squash' or 'crop'"),
            ({"size": (0, 5)}, {"size": (1, 5)}, "at least 1 x 1"),
            (
                {"mode": "crop", "size": (64, 65), "resize": 64},
                {"mode": "crop", "size": (64, 64), "resize": 64},
                "resize >= the crop",
            ),
        ],
    )
    def test_an_impossible_setting_is_refused_and_its_neighbour_is_not(self, wrong, right, words):
        with pytest.raises(UsageError, match=words):
            Preprocessing(**wrong)
        Preprocessing(**right)


class TestAnOblongCrop:
    @pytest.mark.parametrize("size", [(64, 96), (96, 64), (48, 80)])
    @pytest.mark.parametrize("image_size", [(120, 90), (90, 120), (200, 50), (64, 64), (96, 64)])
    def test_sees_what_timms_evaluation_shows(self, size, image_size):
        from timm.data import create_transform

        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (*image_size[::-1], 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        theirs = create_transform(
            (3, *size), crop_pct=0.875, interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1)
        )(image)
        square = Preprocessing((224, 224), "crop", 256)
        ours = square.at(size).pixels(image)
        expected = (theirs.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        np.testing.assert_array_equal(ours, expected)

    def test_keeps_its_margin_at_another_size_and_says_so(self):
        again = Preprocessing((224, 224), "crop", 256).at((64, 96)).at((224, 224))
        assert again.resize == 255  # 73 of 64 is a little less than 256 of 224
        assert "cover 73 x 109" in Preprocessing((224, 224), "crop", 256).at((64, 96)).scaling
        assert Preprocessing.from_dict(again.to_dict()) == again

    def test_has_a_view_within_the_image(self):
        view = Preprocessing((224, 224), "crop", 256).at((64, 96)).view(119, 90)
        left, top, right, bottom = view.box
        assert 0 <= left < right <= 119
        assert 0 <= top < bottom <= 90
        assert (right - left) * (bottom - top) > 0.65 * 119 * 90

    @pytest.mark.parametrize("resize", [(60, 96), (64, 90), (64,)])
    def test_out_of_less_than_itself_is_refused(self, resize):
        with pytest.raises(UsageError, match="cover the crop"):
            Preprocessing((64, 96), "crop", resize)


def test_a_shorter_side_is_no_resize_of_a_squash():
    with pytest.raises(UsageError, match=r"\(height, width\) as resize of mode 'squash'.* got 40:"):
        Preprocessing(size=(32, 32), mode="squash", resize=40)
