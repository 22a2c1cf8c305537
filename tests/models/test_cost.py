"""Parameters and multiply-adds against published numbers and counts by hand."""

from __future__ import annotations

import pytest
import torch

from xattn.models import ARCHITECTURES, build
from xattn.models.cost import cost_of


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("resnet18", 11.69e6, 1.81e9),  # He et al. 2016: 1.8 G
        ("efficientnet_b0", 5.29e6, 0.39e9),  # Tan and Le 2019: 5.3 M, 0.39 G
        ("vit_tiny_patch16_224", 5.72e6, 1.26e9),  # Touvron et al. 2021: 5.7 M, 1.3 G
        ("vit_small_patch16_224", 22.05e6, 4.6e9),  # 22 M, 4.6 G
        ("swin_tiny_patch4_window7_224", 28.29e6, 4.5e9),  # Liu et al. 2021: 28.3 M, 4.5 G
    ],
)
def test_the_published_networks_cost_what_was_published(name, parameters, multiply_adds):
    cost = cost_of(name, n_classes=1000)
    assert cost.parameters == pytest.approx(parameters, rel=0.002)
    assert cost.multiply_adds == pytest.approx(multiply_adds, rel=0.015)
    assert cost.size == (224, 224)


def pairs(h: int, w: int, side: int) -> int:
    """Count position and neighbour on the map, one by one."""
    half = side // 2
    return sum(
        0 <= y + i < h and 0 <= x + j < w
        for y in range(h)
        for x in range(w)
        for i in range(-half, half + 1)
        for j in range(-half, half + 1)
    )


def test_blocks_cost_what_they_compute():
    """After the last stage at 96 x 160: 512 channels on 3 x 5 positions."""
    plain = cost_of("resnet18", size=(96, 160)).multiply_adds
    options = {"stages": [4], "size": (96, 160)}
    c, places = 512, 15

    def extra(name: str, **more: object) -> int:
        return cost_of(name, **options, **more).multiply_adds - plain

    assert extra("resnet18-ga") == 4 * c * c * places + 2 * c * places**2
    no_position = {"kernel": 5, "position": "none"}
    window = 2 * pairs(3, 5, 5)
    assert extra("resnet18-la", **no_position) == 4 * c * c * places + window * c
    m = c // 4
    embedded = (2 * c * m + 3 * m * m) * places + window * m
    assert extra("resnet18-ela", **no_position) == embedded
    # The embeddings of rows and columns: every query with k of each half.
    assert extra("resnet18-la", kernel=5) == 4 * c * c * places + window * c + 5 * c * places


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_the_network_with_weights(name):
    real = sum(parameter.numel() for parameter in build(name, 2).parameters())
    assert cost_of(name, size=(224, 224)).parameters == real


def test_only_networks_with_attention_attend():
    attends = {name: cost_of(name).attends for name in ARCHITECTURES}
    families = {name: ARCHITECTURES[name].family for name in ARCHITECTURES}
    assert attends == {n: f in ("hybrid", "transformer") for n, f in families.items()}


def test_counting_needs_no_numbers():
    before = torch.get_rng_state()
    cost_of("resnet18-ela")
    assert torch.equal(torch.get_rng_state(), before)
