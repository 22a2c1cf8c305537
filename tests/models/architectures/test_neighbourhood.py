"""Sums over shifted views equal the unfolded windows: values, weights and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.windows import unfolded_attention, unfolded_weights
from xattn.models.architectures.neighbourhood import attend, attention_weights

Given = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
HEADS = 2


def inputs(
    n: int, d: int, grid: tuple[int, int], side: int, dtype: torch.dtype = torch.float64
) -> Given:
    """Random q, k, v and logits of rows and columns, all with gradients."""
    maps = [torch.randn(n, *grid, HEADS, d, dtype=dtype, requires_grad=True) for _ in range(3)]
    logits = [torch.randn(side, n, *grid, HEADS, dtype=dtype, requires_grad=True) for _ in range(2)]
    return (*maps, *logits)


def channels_first(*given: Tensor) -> list[Tensor]:
    """Bring q, k, v, row and column to the twin's form, heads beside the images."""
    return [
        x.permute(1, 4, 0, 2, 3).flatten(0, 1) if i > 2 else x.permute(0, 3, 4, 1, 2).flatten(0, 1)
        for i, x in enumerate(given)
    ]


def slow(*given: Tensor) -> Tensor:
    mixed = unfolded_attention(*channels_first(*given))
    return mixed.unflatten(0, (-1, HEADS)).permute(0, 3, 4, 1, 2)


def compare(given: Given, tolerance: float) -> None:
    ours, expected = attend(*given), slow(*given)
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * direction).sum(), given),
        torch.autograd.grad((expected * direction).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


GRIDS = [(1, 1), (1, 6), (5, 5), (7, 4), (3, 11)]


class TestBothPaths:
    @pytest.mark.parametrize("side", [1, 3, 5, 13])
    @pytest.mark.parametrize("grid", GRIDS)
    def test_agree_in_float64(self, grid, side):
        compare(inputs(2, 3, grid, side), 1e-10)

    @pytest.mark.parametrize("side", [3, 7])
    @pytest.mark.parametrize("grid", GRIDS)
    def test_agree_in_float32(self, grid, side):
        compare(inputs(3, 16, grid, side, torch.float32), 1e-5)

    @settings(deadline=None, max_examples=25)
    @given(
        n=st.integers(1, 3),
        d=st.integers(1, 5),
        h=st.integers(1, 9),
        w=st.integers(1, 9),
        half=st.integers(0, 5),
    )
    def test_agree_on_any_shape(self, n, d, h, w, half):
        compare(inputs(n, d, (h, w), 2 * half + 1), 1e-10)

    def test_agree_where_logits_are_far_apart(self):
        """Neither exp overflows nor every weight vanishes."""
        q, k, v, row, column = inputs(2, 4, (4, 5), 5)
        compare((q, k, v, *(x.detach().mul(500).requires_grad_() for x in (row, column))), 1e-10)

    def test_agree_where_channels_do_not_come_last_in_memory(self):
        given = inputs(2, 4, (4, 5), 3)
        strided = [x.detach().mT.contiguous().mT.requires_grad_() for x in given]
        assert not strided[0].is_contiguous()
        compare(tuple(strided), 1e-10)

    def test_agree_without_autograd(self):
        given = inputs(2, 4, (4, 5), 3)
        expected = attend(*given).detach()
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                assert torch.equal(attend(*given), expected)

    @pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4])
    def test_agree_where_one_gradient_alone_is_wanted(self, wanted):
        given = [x.detach() for x in inputs(2, 4, (4, 5), 3)]
        given[wanted].requires_grad_()
        (found,) = torch.autograd.grad(attend(*given).square().sum(), given[wanted])
        (expected,) = torch.autograd.grad(slow(*given).square().sum(), given[wanted])
        torch.testing.assert_close(found, expected)


class TestWeights:
    @pytest.mark.parametrize("grid", GRIDS)
    def test_equal_those_of_the_unfolded_windows(self, grid):
        q, k, _, row, column = inputs(2, 3, grid, 5)
        found = attention_weights(q, k, row, column)
        assert found.shape == (5, 5, 2, *grid, HEADS)
        q, k, _, row, column = channels_first(q, k, q, row, column)
        expected = unfolded_weights(q, k, row, column).unflatten(0, (-1, HEADS))
        torch.testing.assert_close(found.flatten(0, 1).permute(1, 4, 0, 2, 3), expected)

    def test_are_those_of_the_definition(self):
        q, k, _, row, column = inputs(1, 3, (4, 6), 3)
        found = attention_weights(q, k, row, column)
        for y, x in [(0, 0), (1, 2), (3, 5), (2, 0)]:
            logits = {
                (i, j): q[0, y, x, 1] @ k[0, y + i - 1, x + j - 1, 1]
                + row[i, 0, y, x, 1]
                + column[j, 0, y, x, 1]
                for i in range(3)
                for j in range(3)
                if 0 <= y + i - 1 < 4 and 0 <= x + j - 1 < 6
            }
            total = sum(logit.exp() for logit in logits.values())
            for i in range(3):
                for j in range(3):
                    expected = logits[i, j].exp() / total if (i, j) in logits else torch.zeros(())
                    torch.testing.assert_close(found[i, j, 0, y, x, 1], expected.to(found))

    def test_sum_to_1_over_each_window(self):
        q, k, _, row, column = inputs(2, 3, (4, 6), 7)
        found = attention_weights(q, k, row, column)
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum((0, 1)), torch.ones_like(found[0, 0]))


class TestHalfPrecision:
    def test_is_summed_in_float32(self):
        given = [x.detach().bfloat16() for x in inputs(2, 16, (7, 7), 7, torch.float32)]
        found = attend(*given)
        expected = slow(*(x.float() for x in given))
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found, expected.bfloat16())

    def test_has_gradients_of_its_own_type(self):
        given = [
            x.detach().bfloat16().requires_grad_() for x in inputs(1, 4, (3, 3), 3, torch.float32)
        ]
        for gradient in torch.autograd.grad(attend(*given).sum(), given):
            assert gradient.dtype == torch.bfloat16


class Largest(TorchDispatchMode):
    """Notes the largest tensor, in numbers, that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def largest(function, given: Given) -> int:
    with Largest() as noted:
        torch.autograd.grad(function(*given).sum(), given)
    return noted.numbers


def test_no_tensor_is_larger_than_a_map_whatever_the_window():
    for side in (3, 7, 15):
        assert largest(attend, inputs(2, 16, (9, 9), side)) == 2 * HEADS * 16 * 81
    assert largest(slow, inputs(2, 16, (9, 9), 7)) == 49 * 2 * HEADS * 16 * 81


@pytest.mark.parametrize(("grid", "side"), [((4, 5), 3), ((3, 2), 7), ((6, 6), 5), ((1, 1), 3)])
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
def test_what_a_tracer_sees_is_the_same_sum_in_plain_operations(grid, side):
    given = [x.detach() for x in inputs(2, 4, grid, side)]
    traced = torch.jit.trace(lambda *x: attend(*x), given, check_trace=False)
    assert "_Attend" not in str(traced.graph)
    others = [x.detach() for x in inputs(2, 4, grid, side)]
    torch.testing.assert_close(traced(*others), attend(*others))
