"""The relevance of each pixel for a logit: one forward pass under the rules, one backward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xattn.attribution.passes.model_state import preserved
from xattn.attribution.passes.relevance import attention as attention  # registers its rules
from xattn.attribution.passes.relevance import layers as layers  # so does this
from xattn.attribution.passes.relevance import rules
from xattn.attribution.passes.relevance.ledger import Conservation, Ledger
from xattn.attribution.passes.relevance.operations import (
    Rules,
    apply_rule,
    depends,
    names,
    no_rule,
    tensors_in,
)
from xattn.errors import MethodError
from xattn.models.interface import Model

_UNRULED = names(
    "Softmax LogSoftmax Gelu Silu Sigmoid Tanh Hardswish Hardsigmoid Elu Mish Softplus Exp Log "
    "Pow Sqrt Rsqrt NativeLayerNorm NativeGroupNorm NativeBatchNorm CudnnBatchNorm Addcmul "
    "ScaledDotProductFlashAttention ScaledDotProductFlashAttentionForCpu "
    "ScaledDotProductEfficientAttention LinalgVectorNorm Var Std Logsumexp Sin Cos"
)
"""What a graph made by the rules never holds."""


@dataclass(frozen=True)
class Propagated:
    """Relevance of n images.

    Attributes:
        relevance: (n, 3, height, width), in units of the logit.
        logits: (n,), what is explained.
        conservation: where the rest of the logits is.
    """

    relevance: Tensor
    logits: Tensor
    conservation: Conservation


def propagate_relevance(
    model: Model, inputs: Tensor, targets: Tensor, *, dense: float, convolution: float
) -> Propagated:
    """Propagate the logits of the targets back to the pixels.

    Args:
        model: stays as it is.
        inputs: (n, 3, height, width).
        targets: class per image, (n,).
        dense: gamma of linear layers.
        convolution: gamma of convolutions.

    Raises:
        MethodError: an operation of the network has no rule.
    """
    ledger = Ledger()
    with preserved(model.module):
        network = model.network
        leaf = inputs.detach().clone().requires_grad_(True)
        with _Ruled(Rules(ledger, dense, convolution)):
            scores: Tensor = network(leaf.clone())  # a model may change its input in place
        if not depends(scores):
            raise MethodError(
                "Expected logits that depend on the image, but relevance cannot pass to them"
                "; use integrated-gradients"
            )
        _require_ruled(scores)
        picked = scores.gather(1, targets.clone()[:, None])[:, 0]
        slope, *others = torch.autograd.grad(
            picked.sum(), [leaf, *ledger.leaves], allow_unused=True
        )
    found = torch.zeros_like(leaf) if slope is None else slope
    found = (found * leaf).detach()
    return Propagated(found, picked.detach(), _count(found, picked.detach(), ledger, others))


def _count(
    found: Tensor, logits: Tensor, ledger: Ledger, slopes: Sequence[Tensor | None]
) -> Conservation:
    pixels, explained = float(found.double().sum()), float(logits.double().sum())
    constants, softmax = ledger.constants(list(slopes)), float(ledger.softmax)
    return Conservation(
        pixels=pixels,
        constants=constants,
        softmax=softmax,
        logits=explained,
        size=float(logits.double().abs().sum()),
        gap=abs(explained - pixels - constants - softmax),
        images=len(logits),
    )


class _Ruled(TorchFunctionMode):
    """While it is entered, operations on what depends on the image go by their rules."""

    def __init__(self, given: Rules) -> None:
        super().__init__()
        self.given = given

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if not any(depends(one) for one in tensors_in([*args, *named.values()])):
            return func(*args, **named)
        return apply_rule(self.given, func, args, named)


def _require_ruled(scores: Tensor) -> None:
    """Make sure that nothing got round the rules: scripted code, functions with own gradients."""
    seen, todo = set(), [scores.grad_fn]
    while todo:
        node: Any = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = type(node).__name__.partition("Backward")[0]
        own = getattr(type(node), "_forward_cls", None)
        if kind in _UNRULED or (own is not None and own.__module__ != rules.__name__):
            raise no_rule(kind.lower() if own is None else own.__name__)
        todo += [one for one, _ in node.next_functions]
