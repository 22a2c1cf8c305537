"""GA against a slow twin that builds its weights, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from xattn.errors import UsageError
from xattn.models.architectures.global_attention import GlobalAttention


def block(channels: int = 8, heads: int = 2, gate: float = 0.7) -> GlobalAttention:
    made = GlobalAttention(channels, heads).double()
    torch.nn.init.constant_(made.gate, gate)
    return made


def slow_twin(ga: GlobalAttention, x: Tensor) -> Tensor:
    """The formula with the weights built, head by head and position by position."""
    n, channels, h, w = x.shape
    weights = ga.attention_weights(ga.query(x), ga.key(x))
    values = ga.value(x).reshape(n, ga.heads, channels // ga.heads, h * w)
    mixed = torch.zeros_like(values)
    for position in range(h * w):
        mixed[..., position] = (values * weights[:, :, position, None, :]).sum(-1)
    return x + ga.gate * ga.out(mixed.reshape(n, channels, h, w))


def by_hand(ga: GlobalAttention, x: Tensor, head: int, i: int) -> Tensor:
    """Row i of one head's weights for the first image, from the definition."""
    size = x.shape[1] // ga.heads
    part = slice(head * size, (head + 1) * size)
    q = ga.query(x)[0, part].flatten(1)
    k = ga.key(x)[0, part].flatten(1)
    scores = torch.stack([q[:, i] @ k[:, j] for j in range(k.shape[1])]) / size**0.5
    return scores.exp() / scores.exp().sum()


@pytest.mark.parametrize("heads", [1, 2, 8])
@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (4, 4)])
def test_the_fused_pass_equals_the_slow_twin(heads, grid):
    ga = block(heads=heads)
    x = torch.randn(2, 8, *grid, dtype=torch.float64, requires_grad=True)
    fast, slow = ga(x), slow_twin(ga, x)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    wanted = [x, *ga.parameters()]
    direction = torch.randn_like(fast)
    for a, b in zip(
        torch.autograd.grad((fast * direction).sum(), wanted),
        torch.autograd.grad((slow * direction).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_the_weights_are_those_of_the_definition():
    ga = block(heads=2)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64)
    weights = ga.attention_weights(ga.query(x), ga.key(x))
    for head in range(2):
        for i in range(6):
            torch.testing.assert_close(weights[0, head, i], by_hand(ga, x, head, i))


def test_rows_of_the_weights_sum_to_1():
    ga = block(heads=4)
    weights = ga.attention_weights(*torch.randn(2, 3, 8, 3, 5, dtype=torch.float64))
    assert weights.shape == (3, 4, 15, 15)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 15, dtype=torch.float64))


def test_a_closed_gate_is_the_identity_and_a_new_gate_is_closed():
    ga = GlobalAttention(8)
    x = torch.randn(2, 8, 3, 5)
    assert torch.equal(ga(x), x)


def test_a_closed_gate_still_learns():
    ga = GlobalAttention(8)
    ga(torch.randn(2, 8, 3, 5)).square().sum().backward()
    assert ga.gate.grad != 0


def test_moving_the_positions_moves_the_output_with_them():
    """There is no position in it: attention is over a set."""
    ga = block()
    x = torch.randn(1, 8, 3, 5, dtype=torch.float64)
    order = torch.randperm(15)

    def shuffle(t: Tensor) -> Tensor:
        return t.flatten(2)[..., order].reshape(t.shape)

    torch.testing.assert_close(ga(shuffle(x)), shuffle(ga(x)))


@pytest.mark.parametrize("heads", [0, 3, -2, 16])
def test_heads_that_do_not_divide_the_channels_are_refused(heads):
    with pytest.raises(UsageError, match="heads to divide 8 channels"):
        GlobalAttention(8, heads)
