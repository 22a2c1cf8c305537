"""A network of one logit z, and its twin of the two logits (0, z): the same in every map."""

from __future__ import annotations

import pytest
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, plain, swin, vit, with_statistics
from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.registry import METHODS, Method
from xattn.errors import XattnError
from xattn.models import Model, build, wrap

CLASSES = ["benign", "malignant"]
NETS = {
    "convolutions": (Conv, "fc", SIZE),
    "vit": (vit, "head", SIZE),
    "swin": (swin, "head.fc", (32, 32)),
    "resnet": (lambda: timm.create_model("test_resnet", num_classes=2), "fc", (32, 32)),
    "hybrid": (lambda: build("test_resnet-la", 2), "fc", (64, 64)),
}


def twins(name: str, seed: int) -> tuple[Model, Model]:
    """Two networks of equal weights; the head of the first has one row, the other's the first."""
    make, head, size = NETS[name]
    torch.manual_seed(seed)
    two = with_statistics(make()).double().eval()
    torch.manual_seed(seed)
    one = with_statistics(make()).double().eval()
    one.load_state_dict(two.state_dict())
    row = torch.randn(1, two.get_submodule(head).in_features, dtype=torch.float64)
    bias = torch.randn(1, dtype=torch.float64)
    with torch.no_grad():
        two.get_submodule(head).weight.copy_(torch.cat([torch.zeros_like(row), row]))
        two.get_submodule(head).bias.copy_(torch.cat([torch.zeros_like(bias), bias]))
    single = nn.Linear(row.shape[1], 1).double()
    single.weight, single.bias = nn.Parameter(row), nn.Parameter(bias)
    where, _, last = head.rpartition(".")
    setattr(one.get_submodule(where), last, single)
    return tuple(wrap(net, classes=CLASSES, preprocessing=plain(size)) for net in (one, two))


def maps_of(model: Model, method: Method, x: Tensor, targets: Tensor) -> Tensor:
    return attribute_each(model, x, {"": (method, 0)}, [targets])[1][""]


def assert_alike(one: Model, two: Model, seed: int, *, fast: bool, names: list[str] | None = None):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, *one.preprocessing.size, generator=draw, dtype=torch.float64)
    first, second = (make_fast_copy(m) if fast else m for m in (one, two))
    torch.testing.assert_close(first.logits(x), second.logits(x), atol=1e-9, rtol=1e-9)
    tried = 0
    for name, method in METHODS.items():
        if names is not None and name not in names:
            continue
        answers = []
        for model in (one, two):
            try:
                method.check(model)
                answers.append("")
            except XattnError as err:
                answers.append(str(err))
        assert answers[0] == answers[1]
        if answers[0]:
            continue
        for targets in (torch.tensor([0, 1]), torch.tensor([1, 0])):
            ours, theirs = (maps_of(m, method, x, targets) for m in (first, second))
            torch.testing.assert_close(
                ours,
                theirs,
                atol=1e-6,
                rtol=1e-6,
                equal_nan=True,
                msg=lambda m, n=name: f"{n}: {m}",
            )
        tried += 1
    assert tried


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in ("resnet", "hybrid"))) for n in NETS],
)
@pytest.mark.parametrize("fast", [False, True], ids=["itself", "the copy"])
def test_every_method_shows_the_same_of_either_class(name, fast):
    assert_alike(*twins(name, 0), 0, fast=fast)


@pytest.mark.parametrize("name", ["convolutions", "vit"])
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1))
def test_so_it_is_with_any_weights(name, seed):
    quick = ["gradcam", "hirescam", "scorecam", "ablationcam", "saliency", "deeplift", "attention",
             "gradient-rollout", "occlusion", "pytorch-grad-cam/gradcam-elementwise"]  # fmt: skip
    assert_alike(*twins(name, seed), seed, fast=False, names=quick)


def test_a_signed_map_of_the_first_class_is_minus_that_of_the_second():
    one, _ = twins("convolutions", 3)
    x = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    for name in ("hirescam", "integrated-gradients", "occlusion", "deeplift"):
        first, second = (maps_of(one, METHODS[name], x, torch.full((2,), c)) for c in (0, 1))
        torch.testing.assert_close(first, -second, atol=1e-9, rtol=1e-9)
        assert second.abs().max() > 0
