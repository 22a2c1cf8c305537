"""Rules of layers with weights, and of normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.attribution.passes.relevance.operations import Rules, depends, no_rule, rule
from xattn.attribution.passes.relevance.rules import factor, weighted
from xattn.errors import MethodError


@rule("linear")
def linear(given: Rules, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gamma rule; a weight that depends on the image is a factor."""
    if depends(weight):
        found = F.linear(factor(input) if depends(input) else input, factor(weight))
        return found if bias is None else found + given.ledger.constant(bias, found)
    return weighted(input, weight, bias, F.linear, given.dense, given.ledger)


@rule("addmm")
def addmm(given: Rules, input: Tensor, mat1: Tensor, mat2: Tensor) -> Tensor:
    """As a linear layer."""
    found: Tensor = linear(given, mat1, mat2.t(), input)
    return found


def _convolution(name: str) -> None:
    apply: Any = getattr(F, name)

    @rule(name)
    def convolve(
        given: Rules, input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any,
        **named: Any,
    ) -> Tensor:  # fmt: skip
        if depends(weight):
            raise no_rule(f"{name} by weights that depend on the image")
        shaped = None if bias is None else bias.reshape(-1, *[1] * (weight.ndim - 2))

        def by_weight(x: Tensor, w: Tensor) -> Tensor:
            found: Tensor = apply(x, w, None, *args, **named)
            return found

        return weighted(input, weight, shaped, by_weight, given.convolution, given.ledger)


for _name in ("conv1d", "conv2d", "conv3d"):
    _convolution(_name)


@rule("batch_norm")
def batch_norm(
    given: Rules, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Fold it into the convolution before it, else scale and shift.

    Raises:
        MethodError: it has no statistics of its own.
    """
    if training or running_mean is None or running_var is None:
        raise MethodError(
            "Expected batch norms with statistics of their own, but one takes the batch's, so that "
            "the rest of the batch is part of each result"
        )
    scale = (running_var.double() + eps).rsqrt()
    shift = -running_mean.double() * scale
    if weight is not None:
        scale, shift = scale * weight.double(), shift * weight.double()
    if bias is not None:
        shift = shift + bias.double()
    node: Any = input.grad_fn
    if type(node).__name__ == "_WeightedBackward" and node.saved_tensors[1].ndim == input.ndim:
        x, w, *rest = node.saved_tensors
        each = [1] * (w.ndim - 2)
        folded = (w.double() * scale.reshape(-1, 1, *each)).to(w.dtype)
        before = rest[0].double() * scale.reshape(-1, *each) if rest else 0
        moved = (before + shift.reshape(-1, *each)).to(w.dtype)
        # The saved input still hangs in the graph: the convolution before is passed over.
        return weighted(x, folded, moved, node.linear, node.gamma, given.ledger)
    shape = (1, -1, *[1] * (input.ndim - 2))
    scaled = input * scale.to(input.dtype).reshape(shape)
    return scaled + given.ledger.constant(shift.to(input.dtype).reshape(shape), scaled)


@rule("layer_norm")
def layer_norm(
    given: Rules, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Identity rule: the deviation is a constant (eq. 16)."""
    axes = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(axes, keepdim=True)
    deviation = (input.detach().var(axes, unbiased=False, keepdim=True) + eps).sqrt()
    return _scaled(given, centred / deviation, weight, bias)


@rule("rms_norm")
def rms_norm(
    given: Rules, input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:  # fmt: skip
    """Identity rule."""
    axes = tuple(range(-len(normalized_shape), 0))
    smallest = torch.finfo(input.dtype).eps if eps is None else eps
    size = (input.detach().square().mean(axes, keepdim=True) + smallest).sqrt()
    return _scaled(given, input / size, weight, None)


@rule("group_norm")
def group_norm(
    given: Rules, input: Tensor, num_groups: int, weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Identity rule."""
    grouped = input.reshape(len(input), num_groups, -1)
    centred = grouped - grouped.mean(-1, keepdim=True)
    deviation = (grouped.detach().var(-1, unbiased=False, keepdim=True) + eps).sqrt()
    shape = (1, -1, *[1] * (input.ndim - 2))
    laid_out = [None if one is None else one.reshape(shape) for one in (weight, bias)]
    return _scaled(given, (centred / deviation).reshape(input.shape), *laid_out)


def _scaled(given: Rules, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + given.ledger.constant(bias, scaled)
