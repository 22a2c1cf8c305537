"""Attention rollout against the full product of matrices, head by head and layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor

from tests.models.nets import Conv, Tokens, swin, torchvision_vit, vit, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.registry import METHODS
from xattn.errors import MethodError
from xattn.models import Model, build

NETS: dict[str, Callable[[], Model]] = {
    "class token": lambda: wrapped(vit(depth=4)),
    "averaged": lambda: wrapped(vit(class_token=False, global_pool="avg", depth=3)),
    "registers": lambda: wrapped(vit(reg_tokens=3)),
    "torchvision": lambda: wrapped(torchvision_vit(), (32, 32)),
    "deit": lambda: wrapped(
        timm.create_model("deit_tiny_distilled_patch16_224", num_classes=2, depth=2, img_size=32)
        .eval(),
        (32, 32),
    ),
}  # fmt: skip


def rolled_out(model: Model, x: Tensor) -> Tensor:
    return METHODS["rollout"].maps(model, capture(model, x, attention=model.attention_layers))


def slow_twin(model: Model, x: Tensor) -> Tensor:
    """Equation 1 of the paper: every matrix, image by image, row-normalised, multiplied up."""
    layers = model.attention_layers
    maps = []
    for image in x.split(1):
        weights = capture(model, image, attention=layers, gradients=False).attention
        product = torch.eye(weights[layers[0]].positions, dtype=x.dtype)
        for layer in layers:
            A = weights[layer].dense()[0].mean(0)
            A = 0.5 * A + 0.5 * torch.eye(len(A), dtype=x.dtype)
            product = (A / A.sum(1, keepdim=True)) @ product
        last = layers[-1]
        read = list(last.readout) or list(range(last.prefix, len(product)))
        maps.append(product[read].mean(0)[last.prefix :].reshape(last.grid))
    return torch.stack(maps)


@pytest.mark.parametrize("name", NETS)
class TestRollout:
    def test_equals_the_full_product_in_float64(self, name):
        model = NETS[name]()
        model.module.double()
        METHODS["rollout"].check(model)
        x = torch.randn(3, 3, *model.preprocessing.size, dtype=torch.float64)
        torch.testing.assert_close(rolled_out(model, x), slow_twin(model, x), rtol=1e-9, atol=1e-12)

    def test_fractions_sum_to_one_less_what_other_tokens_keep(self, name):
        model = NETS[name]()
        total = rolled_out(model, torch.randn(2, 3, *model.preprocessing.size)).sum((1, 2))
        assert (total <= 1 + 1e-5).all()
        assert (total > 0.1).all()
        if model.attention_layers[-1].prefix == 0:
            torch.testing.assert_close(total, torch.ones(2))


@pytest.mark.parametrize("net", [swin, lambda: build("resnet18-ga", 2), Tokens])
def test_models_whose_layers_do_not_pass_on_the_same_tokens_are_refused(net):
    size = (32, 32) if net is swin else (64, 64)
    with pytest.raises(MethodError, match="do not all pass on the same tokens; use attention"):
        METHODS["rollout"].check(wrapped(net().eval(), size))


def test_a_model_without_attention_is_refused():
    with pytest.raises(MethodError, match="needs attention layers"):
        METHODS["rollout"].check(wrapped(Conv()))
