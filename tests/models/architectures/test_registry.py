"""Architectures by name, and the two libraries that share some names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xattn.errors import UsageError
from xattn.models import ARCHITECTURES, build
from xattn.models.architectures.registry import architecture, variants


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_registered_architecture_is_built_with_the_classes_asked_for(name):
    entry = ARCHITECTURES[name]
    net = build(name, 3).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 3)
    assert entry.name == name
    assert entry.family in ("convolutional", "hybrid", "control", "transformer")
    assert entry.meaning.endswith(".")
    assert "\n" not in entry.meaning


def test_two_architectures_of_one_name_are_a_mistake():
    with pytest.raises(UsageError, match="no other architecture has, but got 'resnet18'"):

        @architecture("resnet18", family="convolutional")
        def _again(n_classes: int) -> nn.Module:
            """Another one."""
            return nn.Identity()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["resnet18", "torchvision/resnet18"]),
        ("efficientnet_b0", ["efficientnet_b0", "torchvision/efficientnet_b0"]),
        ("resnet18-ga", ["resnet18-ga"]),
        ("efficientnet_b0-ela", ["efficientnet_b0-ela"]),
        ("convnext_tiny-la", ["convnext_tiny-la"]),
        ("resnet18.a1_in1k-conv", ["resnet18.a1_in1k-conv"]),
        ("vit_b_16", ["torchvision/vit_b_16"]),
        ("test_vit", ["timm/test_vit"]),
        ("resnet18.a1_in1k", ["timm/resnet18.a1_in1k"]),
        ("timm/resnet18", ["timm/resnet18"]),
        ("torchvision/resnet18", ["torchvision/resnet18"]),
    ],
)
def test_a_name_stands_for_all_that_know_it_the_preferred_one_first(name, expected):
    assert variants(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "resnet",
        "timm/resnet18-ga",
        "torchvision/test_vit",
        "hub/x",
        "-la",
        "resnet18-",
        "vgg-ga",
    ],
)
def test_a_name_that_nobody_knows_is_refused(name):
    with pytest.raises(UsageError, match=f"Unknown architecture {name!r}"):
        variants(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet18-gaa", "'resnet18-ga'"),
        ("efficientnet_b0_ela", "'efficientnet_b0-ela'"),
        ("convnext_tny-la", "'convnext_tiny-la'"),
        ("vit_tiny_patch16", "'vit_tiny_patch16_224'"),
    ],
)
def test_an_unknown_name_suggests_near_ones(name, meant):
    with pytest.raises(UsageError, match=f"did you mean .*{meant}"):
        variants(name)


def test_options_reach_the_builder():
    net = build("resnet18-ga", 2, stages=[1], heads=8)
    assert net.layer1.ga.heads == 8
    assert not hasattr(net.layer4, "ga")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet18-ga", {"head": 3}, r"cannot be built with \{'head': 3\}: .*'head'"),
        ("resnet18-ga", {"heads": 7}, "heads to divide 256 channels, but got 7"),
        ("resnet18-ga", {"heads": 0}, "heads to divide 256 channels, but got 0"),
        ("resnet18-ga", {"position": "absolute"}, "position 'none' or 'relative', but got 'abs"),
        ("resnet18-la", {"kernel": 4}, "an odd kernel, 1 or more, but got 4"),
        ("resnet18-la", {"kernel": -1}, "an odd kernel, 1 or more, but got -1"),
        ("resnet18-la", {"ratio": 4}, "cannot be built with"),
        ("resnet18-la", {"position": "x"}, "position 'relative' or 'none', but got 'x'"),
        ("resnet18-ela", {"ratio": 0}, "a ratio and heads of 1 or more, but got 0, 4"),
        ("resnet18-ela", {"heads": -1}, "a ratio and heads of 1 or more, but got 4, -1"),
        ("resnet18-conv", {"match": "xa"}, "Unknown block to match 'xa'; known: ela, ga, la"),
        ("vit_tiny_patch16_224-ga", {}, "with convolutional stages, but VisionTransformer has"),
        ("swin_tiny_patch4_window7_224-la", {}, "stages, but SwinTransformer has none"),
        ("resnet18-ga", {"stages": [5]}, "stages 1 to 4, but got 5"),
        ("resnet18-ga", {"stages": [0]}, "stages 1 to 4, but got 0"),
        ("resnet18-ga", {"stages": [4, 4]}, "every stage once, but got"),
        ("test_vit", {"img_size": "big"}, "'timm/test_vit' cannot be built with|'test_vit' cannot"),
        ("torchvision/resnet18", {"widths": 1}, "cannot be built with"),
    ],
)
def test_a_wrong_option_is_named(name, options, words):
    with pytest.raises(UsageError, match=words):
        build(name, 2, **options)
