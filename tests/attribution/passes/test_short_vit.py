"""The last block of a copy goes on with the class token alone; no result shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from tests.models.nets import SIZE, torchvision_vit, vit, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.registry import METHODS
from xattn.models import Model


def deit() -> nn.Module:
    name = "deit_tiny_distilled_patch16_224"
    return timm.create_model(name, num_classes=2, depth=2, img_size=32).eval()


NETS: dict[str, tuple[Callable[[], nn.Module], str, tuple[int, int]]] = {
    "timm": (vit, "norm2", SIZE),
    "registers": (lambda: vit(reg_tokens=3), "norm2", SIZE),
    "layer scale": (lambda: vit(init_values=0.1), "norm2", SIZE),
    "two class tokens": (deit, "norm2", (32, 32)),
    "torchvision": (torchvision_vit, "ln_2", (32, 32)),
}


def model_of(name: str, **options: str) -> Model:
    torch.manual_seed(0)
    net, _, size = NETS[name]
    return wrapped(net(), size, **options)


def tokens_seen(model: Model, norm: str) -> int:
    """Count the tokens that the second norm of the last block is given."""
    block, _, _ = model.attention_layers[-1].name.rpartition(".")
    counts: list[int] = []
    part = model.module.get_submodule(f"{block}.{norm}")
    handle = part.register_forward_hook(lambda _m, inputs, _o: counts.append(inputs[0].shape[1]))
    with torch.no_grad():
        model.module(torch.randn(1, 3, *model.preprocessing.size))
    handle.remove()
    return counts[0]


@pytest.mark.parametrize("name", NETS)
class TestTheShorterBlock:
    def test_sees_only_what_is_read(self, name):
        model = model_of(name)
        copied = make_fast_copy(model)
        read = model.attention_layers[-1].readout
        assert tokens_seen(copied, NETS[name][1]) == len(read)
        assert tokens_seen(model, NETS[name][1]) > len(read)  # the user's own is as it was

    def test_gives_the_same_maps(self, name):
        model = model_of(name)
        copied = make_fast_copy(model)
        x = torch.randn(3, 3, *model.preprocessing.size)
        theirs = capture(model, x, attention=model.attention_layers)
        ours = capture(copied, x, theirs.targets, attention=copied.attention_layers)
        for method in ("gradcam", "hirescam", "attention", "rollout"):
            torch.testing.assert_close(
                METHODS[method].maps(copied, ours),
                METHODS[method].maps(model, theirs),
                rtol=1e-4,
                atol=1e-6,
            )


def test_averaged_tokens_are_all_kept():
    model = wrapped(vit(class_token=False, global_pool="avg"), target_layer="norm")
    assert make_fast_copy(model) is model


def test_a_copy_forms_its_weights_in_the_open_and_is_fused_again_afterwards():
    model = model_of("timm")
    copied = make_fast_copy(model)
    x = torch.randn(2, 3, *SIZE)
    fused, opened = (capture(m, x, attention=m.attention_layers) for m in (model, copied))
    assert {type(w).__name__ for w in fused.attention.values()} == {"DenseWeights"}
    assert {type(w).__name__ for w in opened.attention.values()} == {"FullWeights"}
    assert all(block.attn.fused_attn for block in copied.module.blocks)


def test_weights_too_large_to_be_kept_stay_fused(monkeypatch):
    monkeypatch.setattr(sys.modules[capture.__module__], "MATRICES", 1000)
    copied = make_fast_copy(model_of("timm"))
    found = capture(copied, torch.randn(2, 3, *SIZE), attention=copied.attention_layers)
    assert {type(w).__name__ for w in found.attention.values()} == {"DenseWeights"}
