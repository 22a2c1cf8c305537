"""An image processor of transformers and this project prepare the same image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xattn.errors import CheckpointError
from xattn.images import Preprocessing

transformers = pytest.importorskip("transformers")

from xattn.models.checkpoints.image_processors import to_terms  # noqa: E402

PROCESSORS = {
    "squashed": ("ViT", {"size": {"height": 32, "width": 40}}, "squash", (32, 40)),
    "squashed, cut": (
        "DeiT",
        {"size": {"height": 40, "width": 40}, "crop_size": {"height": 32, "width": 32}},
        "squash", (32, 32),
    ),
    "cropped": (
        "Bit", {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
        "crop", (32, 32),
    ),
    "cropped by a fraction": ("ConvNext", {"size": {"shortest_edge": 56}}, "crop", (56, 56)),
    "large ones squashed": ("ConvNext", {"size": {"shortest_edge": 384}}, "squash", (384, 384)),
    "not normalised": (
        "ViT", {"size": {"height": 32, "width": 32}, "do_normalize": False}, "squash", (32, 32)
    ),
    "scaled to -1 and 1": (
        "EfficientNet",
        {"size": {"height": 32, "width": 32}, "rescale_factor": 1 / 127.5, "rescale_offset": True,
         "do_normalize": False, "include_top": False},
        "squash", (32, 32),
    ),
    "normalised twice": (
        "EfficientNet", {"size": {"height": 32, "width": 32}}, "squash", (32, 32)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROCESSORS)
def test_both_prepare_the_same_image(case):
    kind, options, mode, size = PROCESSORS[case]
    processor = getattr(transformers, f"{kind}ImageProcessor")(**options)
    found = to_terms(processor, "preprocessor_config.json")
    assert (found.mode, found.size) == (mode, size)
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (60, 96, 3), np.uint8)).resize((192, 120))
    theirs = processor(image, return_tensors="np")["pixel_values"][0]
    ours = (found.pixels(image) / 255 - np.array(found.mean)) / np.array(found.std)
    apart = np.abs(ours.transpose(2, 0, 1) - theirs) * np.array(found.std).reshape(3, 1, 1)
    assert apart.max() < 3 / 255


def test_one_that_turns_channels_round_is_refused():
    processor = transformers.MobileViTImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    )
    with pytest.raises(CheckpointError, match="but its pixels differ by"):
        to_terms(processor, "preprocessor_config.json")


def test_one_that_keeps_images_oblong_is_refused():
    processor = transformers.ViTImageProcessor(size={"longest_edge": 36, "shortest_edge": 32})
    with pytest.raises(CheckpointError, match="Expected an image processor that resizes"):
        to_terms(processor, "preprocessor_config.json")


def test_a_squashed_image_may_be_cut():
    cut = Preprocessing(size=(32, 32), mode="squash", resize=(40, 40))
    view = cut.view(400, 200)
    assert view.box == (40.0, 20.0, 360.0, 180.0)
    assert cut.scaling == "squashed to 40 x 40, cropped"
    assert cut.at((64, 64)).resize == (80, 80)
