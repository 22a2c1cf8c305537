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

from tests.models.nets import SIZE, Conv
from xattn import attribute
from xattn.errors import UsageError
from xattn.images import Preprocessing
from xattn.models import load, wrap

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


class Fusion(nn.Module):
    """An image and two numbers of metadata."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Conv()
        self.metadata = nn.Linear(2, 2)

    def forward(self, x, metadata):
        return self.net(x) + self.metadata(metadata)


class TestForward:
    def test_calls_a_network_of_two_inputs(self):
        torch.manual_seed(0)
        fusion, patient = Fusion().eval(), torch.tensor([[61.0, 1.0]])
        model = wrap(
            fusion, classes=CLASSES, preprocessing=Preprocessing(SIZE),
            forward=lambda net, x: net(x, patient.expand(len(x), -1)),
        )  # fmt: skip
        x = torch.randn(2, 3, *SIZE)
        torch.testing.assert_close(model.logits(x), fusion(x, patient.expand(2, -1)))
        assert model.target_layer.startswith("module.net.")
        assert attribute(model, x, method="gradcam").shape == (2, 8, 12)

    def test_makes_the_channels_that_a_network_takes(self):
        torch.manual_seed(0)
        net = Conv()
        net.conv1 = nn.Conv2d(4, 6, 3, 2, 1)
        model = wrap(
            net.eval(), classes=CLASSES, preprocessing=Preprocessing(SIZE),
            forward=lambda net, x: net(torch.cat([x, x.mean(1, keepdim=True)], 1)),
        )  # fmt: skip
        assert model.logits(torch.randn(2, 3, *SIZE)).shape == (2, 2)

    def test_may_return_logits_beside_attention(self):
        torch.manual_seed(0)
        net = Conv().eval()
        model = wrap(
            net, classes=CLASSES, preprocessing=Preprocessing(SIZE),
            forward=lambda net, x: (net(x), torch.ones(len(x), 2, 5, 5)),
        )  # fmt: skip
        x = torch.randn(2, 3, *SIZE)
        torch.testing.assert_close(model.logits(x), net(x))


def test_a_network_of_one_channel_sees_images_in_grey_and_stays_as_it_is():
    torch.manual_seed(0)
    net = Conv()
    net.conv1 = nn.Conv2d(1, 6, 3, 2, 1)
    net.eval()
    model = wrap(net, classes=CLASSES)
    x = torch.rand(1, 3, *SIZE)
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(model.logits(x), net(grey))
    assert net.conv1.weight.shape[1] == 1
    assert len(set(model.preprocessing.mean)) == 1


class Inside(nn.Module):
    """Normalises by buffers of its own."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.6]).reshape(1, 3, 1, 1) * scale)
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.2) * scale)
        self.net = Conv()

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


@pytest.mark.parametrize(
    ("make", "divided"),
    [
        (Inside, 1.0),
        (lambda: Inside(255.0), 1 / 255),
        (
            lambda: nn.Sequential(transforms.Normalize((0.5, 0.4, 0.6), (0.2, 0.2, 0.2)), Conv()),
            1.0,
        ),
    ],
    ids=["buffers", "of 8-bit values", "torchvision's layer"],
)
def test_a_network_that_normalises_inside_is_not_normalised_twice(make, divided):
    model = wrap(make(), classes=CLASSES)
    assert model.preprocessing.mean == (0.0, 0.0, 0.0)
    assert model.preprocessing.std == (divided,) * 3
    assert "normalises inside" in model.source["normalisation"]


def test_a_pickled_network_that_normalises_inside_is_not_normalised_twice(tmp_path):
    torch.save(Inside().eval(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", classes=CLASSES, unsafe_pickle=True)
    assert (model.preprocessing.mean, model.preprocessing.std) == ((0.0,) * 3, (1.0,) * 3)
    assert "normalises inside" in model.source["normalisation"]


def test_a_mean_that_is_not_of_the_image_is_passed_over():
    net = Conv()
    net.relu.mean, net.relu.std = [0.5] * 3, [0.2] * 3
    assert wrap(net, classes=CLASSES).preprocessing.mean == Preprocessing().mean
