"""Classifiers in memory, and the transforms that they come with."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform
from torch import nn
from torchvision import models, transforms
from torchvision.transforms import v2

from tests.models.nets import Conv
from xattn.errors import UsageError
from xattn.images import Preprocessing
from xattn.models import wrap

MEAN, STD = (0.7, 0.6, 0.5), (0.1, 0.2, 0.3)
CLASSES = ["benign", "malignant"]
NORMALISE = transforms.Normalize(MEAN, STD)
TO_UNIT = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]


def noise(width: int = 90, height: int = 70) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


TRANSFORMS = {
    "torchvision, a crop": transforms.Compose(
        [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor(), NORMALISE]
    ),
    "torchvision, squashed": transforms.Compose(
        [transforms.Resize((32, 48)), transforms.ToTensor(), NORMALISE]
    ),
    "bicubic": transforms.Compose(
        [transforms.Resize((32, 48), transforms.InterpolationMode.BICUBIC), transforms.ToTensor()]
    ),
    "crops of a list": transforms.Compose(
        [transforms.Resize([40]), transforms.CenterCrop((32, 24)), transforms.ToTensor()]
    ),
    "from a PIL tensor": transforms.Compose(
        [transforms.Resize((32, 32)), transforms.PILToTensor(),
         transforms.ConvertImageDtype(torch.float32), NORMALISE]
    ),
    "nested": transforms.Compose(
        [transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32)]),
         transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])]
    ),
    "v2": v2.Compose(
        [v2.RGB(), v2.Resize(40), v2.CenterCrop(32), *TO_UNIT, v2.Normalize(MEAN, STD)]
    ),
    "v2, the tensor last": v2.Compose(
        [v2.Resize((32, 32)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
         v2.Normalize(MEAN, STD), v2.ToPureTensor()]
    ),
    "preset": models.ResNet18_Weights.DEFAULT.transforms(),
    "timm": create_transform((3, 32, 32), mean=MEAN, std=STD, interpolation="bicubic"),
    "timm, the whole image": create_transform((3, 32, 32), crop_pct=1.0, crop_mode="squash"),
}  # fmt: skip


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("size", [(90, 70), (64, 64), (45, 120)])
def test_a_transform_that_is_read_gives_what_it_gave(transform, size):
    image = noise(*size)
    model = wrap(Conv(), classes=CLASSES, preprocessing=transform)
    expected = torch.as_tensor(np.asarray(transform(image)))
    torch.testing.assert_close(model.preprocess(image), expected, atol=1e-5, rtol=1e-5)
    assert wrap(Conv(), classes=CLASSES, transform=transform).preprocessing == model.preprocessing


REFUSED = {
    "RandomResizedCrop": transforms.Compose([transforms.RandomResizedCrop(32)]),
    "RandomHorizontalFlip": transforms.Compose(
        [transforms.Resize((32, 32)), transforms.RandomHorizontalFlip()]
    ),
    "Pad": transforms.Compose([transforms.Pad(4), transforms.Resize((32, 32))]),
    "Grayscale": transforms.Compose([transforms.Resize((32, 32)), transforms.Grayscale(3)]),
    "Lambda": transforms.Compose([transforms.Lambda(lambda x: x)]),
    "max_size": transforms.Compose([transforms.Resize(32, max_size=64)]),
    "antialiased": transforms.Compose(
        [transforms.ToTensor(), transforms.Resize((32, 32), antialias=False)]
    ),
    "one resize": transforms.Compose([transforms.Resize(64), transforms.Resize((32, 32))]),
    "one crop": transforms.Compose(
        [transforms.Resize(64), transforms.CenterCrop(48), transforms.CenterCrop(32)]
    ),
    "one normalisation": transforms.Compose([NORMALISE, NORMALISE]),
    "neither": transforms.Compose([transforms.ToTensor(), NORMALISE]),
    "a resize to 32 and a crop to None": transforms.Compose([transforms.Resize(32)]),
    "a resize to (48, 48)": transforms.Compose(
        [transforms.Resize((48, 48)), transforms.CenterCrop(32)]
    ),
    "not scaled before it": v2.Compose([v2.Resize((32, 32)), v2.ToImage(), NORMALISE]),
    "never scales": v2.Compose([v2.Resize((32, 32)), v2.ToImage()]),
    "function": lambda image: image,
    "ResizeKeepRatio": create_transform((3, 32, 32), crop_mode="border"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_transform_that_cannot_be_read_is_refused_by_name(name):
    with pytest.raises(UsageError, match=f"{name.replace('(', '.').replace(')', '.')}.*Preproc"):
        wrap(Conv(), classes=CLASSES, preprocessing=REFUSED[name])


class TestWithoutATransform:
    def test_timms_record_in_the_module_is_honoured(self):
        module = timm.create_model("vit_tiny_patch16_224.augreg_in21k", num_classes=2)
        model = wrap(module, classes=CLASSES)
        assert model.preprocessing.mean == (0.5, 0.5, 0.5)
        assert model.preprocessing.interpolation == "bicubic"
        assert "timm's record of vit_tiny_patch16_224" in model.source["normalisation"]

    def test_what_the_caller_says_goes_before_the_record(self):
        module = timm.create_model("resnet18", num_classes=2)
        mine = Preprocessing(size=(64, 64), mean=MEAN)
        model = wrap(module, classes=CLASSES, preprocessing=mine)
        assert model.preprocessing == mine
        assert model.source["normalisation"] == "the call"

    def test_nor_a_record_it_is_imagenets_and_said_to_be(self):
        model = wrap(Conv(), classes=CLASSES)
        assert model.preprocessing == Preprocessing(mode="crop", resize=256)
        assert "ImageNet" in model.source["normalisation"]
        assert "ImageNet" in model._repr_html_()


def test_two_names_of_one_thing_are_refused():
    with pytest.raises(UsageError, match="preprocessing or transform, but got both"):
        wrap(Conv(), classes=CLASSES, preprocessing=Preprocessing(), transform=Preprocessing())


def test_a_sequential_of_steps_is_read():
    steps = nn.Sequential(transforms.Resize((32, 48)), NORMALISE)
    model = wrap(Conv(), classes=CLASSES, preprocessing=steps)
    assert model.preprocessing == Preprocessing(size=(32, 48), mean=MEAN, std=STD)
