"""LA and ELA against slow twins that unfold their windows, and by their laws."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.models.windows import unfolded_attention
from xattn.errors import UsageError
from xattn.models.architectures import neighbourhood
from xattn.models.architectures.local_attention import (
    EmbeddedLocalAttention,
    LocalAttention,
    WindowedHeads,
)

KINDS = {"la": LocalAttention, "ela": EmbeddedLocalAttention}


def block(kind: str, channels: int = 16, gate: float = 0.7, **options: object) -> nn.Module:
    made = KINDS[kind](channels, **{"heads": 2, "kernel": 3, **options}).double()
    nn.init.constant_(made.gate, gate)
    for name in ("row", "column"):
        if hasattr(made, name):
            nn.init.normal_(getattr(made, name))
    return made


def slow_twin(made: WindowedHeads, x: Tensor) -> Tensor:
    """The formula, head by head, the embeddings added to unfolded keys' logits one by one."""
    inner = made.embed(x) if isinstance(made, EmbeddedLocalAttention) else x
    q, k, v = (layer(inner) for layer in (made.query, made.key, made.value))
    d = q.shape[1] // made.heads
    mixed = []
    for head in range(made.heads):
        part = slice(head * d, (head + 1) * d)
        own = q[:, part] / d**0.5
        row, column = (torch.zeros(len(x), made.kernel, *x.shape[2:]).to(x) for _ in range(2))
        if made.position == "relative":
            for i in range(made.kernel):
                r, c = made.row[head, :, i], made.column[head, :, i]
                row[:, i] = (own[:, : d // 2] * r[:, None, None]).sum(1)
                column[:, i] = (own[:, d // 2 :] * c[:, None, None]).sum(1)
        mixed.append(unfolded_attention(own, k[:, part], v[:, part], row, column))
    return x + made.gate * made.out(torch.cat(mixed, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("position", ["relative", "none"])
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize(("grid", "kernel"), [((3, 5), 3), ((5, 4), 7), ((7, 7), 5)])
def test_the_block_equals_the_slow_twin(kind, position, heads, grid, kernel):
    made = block(kind, heads=heads, kernel=kernel, position=position)
    x = torch.randn(2, 16, *grid, dtype=torch.float64, requires_grad=True)
    fast, slow = made(x), slow_twin(made, x)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    wanted = [x, *made.parameters()]
    direction = torch.randn_like(fast)
    for a, b in zip(
        torch.autograd.grad((fast * direction).sum(), wanted),
        torch.autograd.grad((slow * direction).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_block_equals_the_slow_twin_in_float32_and_one_image(kind):
    made = block(kind).float()
    x = torch.randn(1, 16, 5, 7)
    torch.testing.assert_close(made(x), slow_twin(made, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_mixing_values_by_the_weights_gives_the_output(kind):
    made = block(kind, kernel=5).eval()
    x = torch.randn(2, 16, 4, 6, dtype=torch.float64)
    inner = made.embed(x) if kind == "ela" else x
    weights = made.attention_weights(made.query(inner), made.key(inner))
    assert weights.shape == (2, 2, 5, 5, 4, 6)
    values = made.value(inner).unflatten(1, (2, -1))
    padded = nn.functional.pad(values, (2, 2, 2, 2))
    mixed = sum(
        weights[:, :, i, j, None] * padded[..., i : i + 4, j : j + 6]
        for i in range(5)
        for j in range(5)
    )
    torch.testing.assert_close(made(x), x + made.gate * made.out(mixed.flatten(1, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_forward_pass_never_builds_the_weights(kind, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("built")

    made = block(kind).float()
    monkeypatch.setattr(neighbourhood, "attention_weights", refuse)
    monkeypatch.setattr(made, "attention_weights", refuse)
    made(torch.randn(2, 16, 4, 4)).sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_gate_is_the_identity_and_a_new_gate_is_closed(kind):
    made = KINDS[kind](16)
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(made(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_gate_still_learns(kind):
    made = KINDS[kind](16)
    made(torch.randn(2, 16, 3, 5)).square().sum().backward()
    assert made.gate.grad != 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_sees_its_window_and_nothing_else(kind):
    made = block(kind, kernel=3).eval()
    x = torch.randn(1, 16, 6, 7, dtype=torch.float64, requires_grad=True)
    (made(x) - x)[0, :, 2, 4].square().sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(6, 7, dtype=torch.bool)
    expected[1:4, 3:6] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_shifting_the_map_shifts_the_output_away_from_the_borders(kind):
    made = block(kind, kernel=3).eval()
    x = torch.randn(1, 16, 8, 9, dtype=torch.float64)
    inside = (..., slice(3, -2), slice(4, -2))
    moved = made(x.roll((1, 2), (2, 3)))
    torch.testing.assert_close(moved[inside], made(x).roll((1, 2), (2, 3))[inside])


def test_without_embeddings_order_within_the_window_does_not_matter():
    x = torch.randn(1, 16, 3, 3, dtype=torch.float64)
    swapped = x.clone()
    swapped[..., 0, 0], swapped[..., 2, 1] = x[..., 2, 1], x[..., 0, 0]
    for position, same in (("none", True), ("relative", False)):
        made = block("la", position=position)
        difference = (made(x) - made(swapped))[..., 1, 1].abs().max()
        assert (difference < 1e-12) == same


def test_a_window_over_the_whole_map_is_global_attention():
    from xattn.models.architectures.global_attention import GlobalAttention

    local = block("la", kernel=9, position="none")
    everywhere = GlobalAttention(16, heads=2).double()
    everywhere.load_state_dict(local.state_dict())
    x = torch.randn(2, 16, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(local(x), everywhere(x))


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_channels_last_and_copies_work(kind):
    made = block(kind).float()
    x = torch.randn(2, 16, 6, 6)
    expected = copy.deepcopy(made)(x)
    last = copy.deepcopy(made)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = made(x)
    half.float().sum().backward()
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_position_embeddings_are_named_as_not_to_be_shrunk(kind):
    assert block(kind).no_weight_decay() == {"row", "column"}
    assert block(kind, position="none").no_weight_decay() == set()
    assert "row" not in block(kind, position="none").state_dict()


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("la", {"heads": 3}, "heads to divide 16 channels, but got 3"),
        ("la", {"heads": 0}, "heads to divide 16 channels, but got 0"),
        ("ela", {"heads": 0}, "a ratio and heads of 1 or more, but got 4, 0"),
        ("ela", {"ratio": -4}, "a ratio and heads of 1 or more, but got -4, 4"),
        ("la", {"kernel": 2}, "an odd kernel, 1 or more, but got 2"),
        ("ela", {"kernel": 0}, "an odd kernel, 1 or more, but got 0"),
        ("la", {"position": "absolute"}, "position 'relative' or 'none', but got 'absolute'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(kind, options, words):
    with pytest.raises(UsageError, match=words):
        KINDS[kind](16, **options)


@pytest.mark.parametrize(
    ("heads", "ratio", "width"), [(4, 4, 4), (4, 3, 8), (3, 1, 18), (8, 16, 8)]
)
def test_the_embedding_is_rounded_up_to_a_multiple_of_the_heads(heads, ratio, width):
    made = EmbeddedLocalAttention(16, heads=heads, ratio=ratio)
    assert made.embed[0].out_channels == made.query.out_channels == width
    assert made(torch.randn(1, 16, 2, 3)).shape == (1, 16, 2, 3)


@pytest.mark.parametrize("options", [{"heads": 16}, {"kernel": 1}, {"kernel": 21}])
def test_their_neighbours_are_not(options):
    made = LocalAttention(16, **options)
    assert made(torch.randn(1, 16, 2, 3)).shape == (1, 16, 2, 3)
