"""The bias of GA's logits depends on the offset alone, on maps of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.architectures.relative_position import RelativePositionBias


def drawn(heads: int = 2) -> RelativePositionBias:
    bias = RelativePositionBias(heads).double()
    nn.init.normal_(bias.head.weight)
    return bias


@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 5), (4, 3)])
def test_it_is_the_small_networks_value_of_each_offset(h, w):
    bias = drawn()
    found = bias(h, w).reshape(2, h, w, h, w)
    for y in range(h):
        for x in range(w):
            for v in range(h):
                for u in range(w):
                    offset = torch.tensor([v - y, u - x], dtype=torch.float64)
                    scaled = offset.sign() * (1 + offset.abs()).log()
                    expected = bias.head(bias.hidden(scaled).relu())
                    torch.testing.assert_close(found[:, y, x, v, u], expected)


def test_a_larger_map_has_the_same_bias_for_the_same_offset():
    bias = drawn()
    small, large = bias(3, 4).reshape(2, 3, 4, 3, 4), bias(6, 9).reshape(2, 6, 9, 6, 9)
    torch.testing.assert_close(large[:, 2:5, 3:7, 2:5, 3:7], small)


def test_a_new_one_is_none():
    plain, biased = GlobalAttention(8, 2), GlobalAttention(8, 2, position="relative")
    missing = biased.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all(key.startswith("relative.") for key in missing)
    for block in (plain, biased):
        nn.init.ones_(block.gate)
    x = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(biased(x), plain(x))


def test_global_attention_with_it_equals_its_explicit_weights():
    block = GlobalAttention(8, 2, position="relative").double()
    nn.init.normal_(block.relative.head.weight)
    nn.init.ones_(block.gate)
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64, requires_grad=True)
    weights = block.attention_weights(block.query(x), block.key(x))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    mixed = (weights @ block.split(block.value(x))).transpose(-2, -1).reshape(x.shape)
    slow, fast = x + block.gate * block.out(mixed), block(x)
    torch.testing.assert_close(fast, slow)
    wanted = [x, *block.parameters()]
    for a, b in zip(
        torch.autograd.grad(fast.square().sum(), wanted),
        torch.autograd.grad(slow.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_it_works_under_autocast():
    block = GlobalAttention(8, 2, position="relative")
    with torch.autocast("cpu", torch.bfloat16):
        block(torch.randn(1, 8, 3, 3)).sum().backward()
    assert block.gate.grad is not None
