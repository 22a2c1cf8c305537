"""The rules, as functions whose backward pass propagates relevance.

What is passed back is not the relevance R of a value x but the slope g, with R = x g. Then the
epsilon rule (epsilon = 0) of everything linear is its plain gradient, so is the rule of the softmax
(Achtibat et al. 2024, eq. 13), and no relevance is ever divided by an activation that may be 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from xattn.attribution.passes.relevance.ledger import Ledger, relevance
from xattn.errors import MethodError

Linear = Callable[[Tensor, Tensor], Tensor]
"""What is linear in its input and in its weight: a matrix product, a convolution."""
_TINY = 1e-6


def factor(x: Tensor, parts: int = 2) -> Tensor:
    """Return a factor of a product, which gets one of `parts` equal parts of its relevance.

    The uniform rule of a product of two things that both depend on the image (eq. 14, 15).
    """
    found: Tensor = _Factor.apply(x, parts)
    return found


class _Factor(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: int) -> Tensor:
        ctx.parts = parts
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        return slopes[0] / ctx.parts, None


def activation(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of single numbers that is 0 at 0: relevance passes unchanged (eq. 8).

    Raises:
        MethodError: it is not 0 at 0, so that no part of it is the input's.
    """
    if bool((function(x.new_zeros(1)) != 0).any()):
        raise MethodError(
            "Expected activations that are 0 at 0, as ReLU and GELU are, but one is not, and no "
            "part of what it gives is its input's; use integrated-gradients"
        )
    found: Tensor = _Activation.apply(x, function)
    return found


class _Activation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        away = x.where(x.abs() > _TINY, _TINY).float() if x.element_size() < 4 else x
        away = away.where(away.abs() > _TINY, _TINY)  # the quotient's limit, at 0
        ctx.save_for_backward((function(away) / away).to(x.dtype))
        return function(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        (quotient,) = ctx.saved_tensors
        return slopes[0] * quotient, None


def gate(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function that opens and closes something else, such as a sigmoid."""
    found: Tensor = _Gate.apply(x, function)
    return found


class _Gate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        raise MethodError(
            "Expected sigmoids as gates alone, which multiply something else, but one is used as "
            "an activation, for which there is no rule; use integrated-gradients"
        )


def softmax(x: Tensor, dim: int, ledger: Ledger) -> Tensor:
    """Apply a softmax: x_i (R_i - s_i sum R) is propagated, the rest is kept (eq. 13)."""
    found: Tensor = _Softmax.apply(x, dim, ledger)
    return found


class _Softmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, ledger: Ledger) -> Tensor:
        found = x.softmax(dim)
        ctx.save_for_backward(x, found)
        ctx.dim, ctx.ledger = dim, ledger
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        x, found = ctx.saved_tensors
        arrived = slopes[0] * found
        passed = arrived - found * arrived.sum(ctx.dim, keepdim=True)
        kept = arrived.double().sum() - relevance(x, passed)
        ctx.ledger.softmax = ctx.ledger.softmax + kept
        return passed, None, None


def weighted(
    x: Tensor, weight: Tensor, bias: Tensor | None, linear: Linear, gamma: float, ledger: Ledger
) -> Tensor:
    """Apply a linear layer; what speaks for its sign weighs 1 + gamma times (gamma rule).

    Of an output z = x w + b > 0 the parts x_j w_j > 0 count 1 + gamma times, of z < 0 those below
    0, and the relevance of z goes to all parts in proportion. gamma = 0 is the epsilon rule.

    Args:
        x: input.
        weight: of the layer.
        bias: laid out so that it can be added to the output, or None.
        linear: applies a weight to an input.
        gamma: 0 or more.
        ledger: is told what the bias keeps.
    """
    found: Tensor = _Weighted.apply(x, weight, bias, linear, gamma, ledger)
    return found


class _Weighted(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        linear: Linear,
        gamma: float,
        ledger: Ledger,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, *(() if bias is None else (bias,)))
        ctx.linear, ctx.gamma, ctx.ledger = linear, gamma, ledger
        found = linear(x, weight)
        return found if bias is None else found + bias

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *rest = ctx.saved_tensors
        bias = rest[0] if rest else x.new_zeros(())
        if not ctx.gamma:
            ctx.ledger.biases = ctx.ledger.biases + _sum(slopes[0], bias)
            return _adjoint(ctx.linear, x, weight)(slopes[0]), None, None, None, None, None
        found, kept = _gamma(x, weight, bias, slopes[0], ctx.linear, ctx.gamma)
        ctx.ledger.biases = ctx.ledger.biases + kept
        return found, None, None, None, None, None


def _gamma(
    x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, linear: Linear, gamma: float
) -> tuple[Tensor, Tensor]:
    """Return the slope at x, and what the bias keeps."""
    plus, minus = weight.clamp(min=0), weight.clamp(max=0)
    z = linear(x, weight) + bias
    positive = linear(x.clamp(min=0), plus) + linear(x.clamp(max=0), minus) + bias.clamp(min=0)
    negative = z - positive
    raised = torch.where(z > 0, z + gamma * positive, z + gamma * negative)
    scaled = (slope * z / raised).where(raised != 0, 0.0)
    up, down = scaled.where(z > 0, 0.0), scaled.where(z < 0, 0.0)
    back, back_plus = _adjoint(linear, x, weight), _adjoint(linear, x, plus)
    whole_up, whole_down, plus_up, plus_down = back(up), back(down), back_plus(up), back_plus(down)
    # Where x > 0 a weight above 0 speaks for an output above 0; where x < 0 one below 0 does.
    above = plus_up + (whole_down - plus_down)
    below = (whole_up - plus_up) + plus_down
    found = whole_up + whole_down + gamma * torch.where(x > 0, above, below)
    kept = _sum(up, bias + gamma * bias.clamp(min=0)) + _sum(down, bias + gamma * bias.clamp(max=0))
    return found, kept


def _adjoint(linear: Linear, x: Tensor, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the transpose of a linear layer, as a function of slopes at its output."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        found = linear(leaf, weight)
    return lambda slope: torch.autograd.grad(found, leaf, slope, retain_graph=True)[0]


def _sum(slope: Tensor, value: Tensor) -> Tensor:
    return (slope.double() * value.double()).sum()
