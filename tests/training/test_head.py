"""An untrained network says nothing yet: its loss is ln(classes), whatever the family."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.training.recipes import tiny_recipe
from xattn.models import build
from xattn.models.architectures.registry import ARCHITECTURES
from xattn.training.head import STD, draw_heads, heads
from xattn.training.init_weights import build_network
from xattn.training.module import balanced_weights

LIKE_THE_FAMILIES = (
    "efficientnet_b0-la",
    "mobilenetv3_small_050",
    "tf_efficientnet_lite0",
    "torchvision/efficientnet_b0",
)
"""Other names of the families; timm and torchvision draw their classifiers each in their way."""


def first_losses(network: nn.Module, n_classes: int) -> dict[bool, float]:
    """The loss of images of noise, as the first step sees it, in fractions of ln(classes).

    Without and with weights of the classes.
    """
    side = 224 if any(isinstance(p, nn.MultiheadAttention) for p in network.modules()) else 96
    config = getattr(network, "pretrained_cfg", None) or {}
    side = 224 if config.get("fixed_input_size") else side
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(12, 3, 8, 8, generator=generator) * 2  # colours by patches
    images = F.interpolate(images, size=(side, side))
    labels = torch.tensor([0] * 4 + [i % n_classes for i in range(8)])
    with torch.no_grad():
        logits = network(images)
    weights = {False: None, True: balanced_weights(np.asarray(labels), n_classes)}
    return {
        weighted: F.cross_entropy(logits, labels, weight=of_class).item() / math.log(n_classes)
        for weighted, of_class in weights.items()
    }


def assert_starts_where_it_should(
    name: str, n_classes: int, modes: tuple[bool, ...] = (False, True)
) -> None:
    network = build_network(tiny_recipe(architecture=name), n_classes).network
    for train in modes:  # evaluated first: a pass in train mode moves batch norm
        losses = first_losses(network.train(train), n_classes)
        assert losses == pytest.approx({False: 1, True: 1}, abs=0.1), train


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "mobilenetv3_small_050"])
def test_a_training_starts_at_the_loss_of_knowing_nothing(name: str):
    assert_starts_where_it_should(name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 7, 8])
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "tiny"])
def test_every_family_starts_at_the_loss_of_knowing_nothing(name: str, n_classes: int):
    assert_starts_where_it_should(name, n_classes)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("name", LIKE_THE_FAMILIES)
def test_so_do_relatives_of_the_families(name: str, n_classes: int):
    """In train mode alone: some have no scale of their own before batch norm has seen images."""
    assert_starts_where_it_should(name, n_classes, modes=(True,))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18-conv", ["fc"]),
        ("swin_tiny_patch4_window7_224", ["head.fc"]),
        ("deit_tiny_distilled_patch16_224", ["head", "head_dist"]),
        ("torchvision/squeezenet1_1", ["classifier.1"]),
        ("torchvision/vgg11", ["classifier.6"]),
    ],
)
def test_the_layer_that_gives_the_logits_is_found(name: str, layers: list[str]):
    with torch.device("meta"):
        assert list(heads(build(name, 8), 8)) == layers


def test_the_rest_of_the_network_stays_as_it_was_drawn():
    torch.manual_seed(0)
    network = build("mobilenetv3_small_050", 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert draw_heads(network, 2) == ("classifier",)
    after = network.state_dict()
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    assert changed - {"classifier.bias"} == {"classifier.weight"}
    assert after["classifier.weight"].std().item() == pytest.approx(STD, rel=0.1)
    assert not after["classifier.bias"].any()


def test_a_network_without_such_a_layer_is_left_alone():
    assert draw_heads(nn.Sequential(nn.Flatten()), 2) == ()


def test_how_the_head_was_drawn_is_told():
    start = build_network(tiny_recipe(), 2)
    assert start.head == {"layers": ["6"], "std": STD, "bias": 0.0}
