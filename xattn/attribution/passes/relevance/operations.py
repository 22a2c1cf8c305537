"""Which rule each operation of torch has, by its name.

Operations that only move numbers or add them up, with weights that do not depend on the image, need
no rule of their own: the slope of relevance at them is their plain gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xattn.attribution.passes.relevance import rules
from xattn.attribution.passes.relevance.ledger import Ledger
from xattn.errors import MethodError


def names(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


PLAIN = names(
    "T mT view view_as reshape reshape_as flatten unflatten permute transpose t swapaxes swapdims "
    "moveaxis movedim contiguous clone expand expand_as repeat repeat_interleave tile unsqueeze "
    "squeeze getitem __getitem__ select narrow split split_with_sizes chunk tensor_split unbind "
    "roll flip rot90 pad gather index_select take_along_dim unfold fold pixel_shuffle "
    "pixel_unshuffle channel_shuffle interpolate upsample mean sum cumsum neg __neg__ avg_pool1d "
    "avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d max_pool1d max_pool2d adaptive_max_pool2d "
    "max_pool2d_with_indices amax max to float double half bfloat16 type type_as cuda cpu "
    "positive ravel diagonal __setitem__ copy_"
)
"""Linear without a constant, or the largest of several: all relevance goes to where it is from."""
ACTIVATIONS = names(
    "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu silu_ mish hardswish "
    "hardtanh hardtanh_ clamp clamp_ clamp_min clamp_max clip tanh tanh_ softsign hardshrink "
    "softshrink square abs pow __pow__"
)
GATES = names("sigmoid sigmoid_ hardsigmoid")
NORMALISERS = names("sqrt rsqrt reciprocal var std norm vector_norm var_mean std_mean")
"""What something else is divided by: taken as a constant, as the deviation of a layer norm is."""
DROPOUTS = names("dropout dropout1d dropout2d dropout3d alpha_dropout")
SUMS = names("add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ rsub __isub__")
PRODUCTS = names("mul mul_ multiply __mul__ __rmul__ __imul__")
QUOTIENTS = names("div div_ divide true_divide __truediv__ __itruediv__")
MATRICES = names("matmul __matmul__ bmm mm mv dot einsum")
JOINS = names("cat concat concatenate stack hstack vstack")


@dataclass(frozen=True)
class Rules:
    """What the rules of one pass go by.

    Attributes:
        ledger: collects what does not reach the input.
        dense: gamma of linear layers.
        convolution: gamma of convolutions.
    """

    ledger: Ledger
    dense: float
    convolution: float


Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""Rules of single operations, by name; each takes `Rules` and what the operation takes."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of operations of these names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def apply_rule(rules_of: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Do an operation on something that depends on the image, so that relevance can come back.

    Raises:
        MethodError: there is no rule for it.
    """
    name = name_of(func)
    if name in RULES:
        return RULES[name](rules_of, *args, **named)
    if name in PLAIN:
        return func(*args, **named)
    for names, family in _FAMILIES:
        if name in names:
            return family(rules_of, func, args, named)
    found = func(*args, **named)
    if any(depends(part) for part in tensors_in(found)):
        raise no_rule(name)
    return found  # sizes, types, comparisons, indices


def name_of(func: Any) -> str:
    """Return an operation's name; of an attribute such as `.T` the attribute's."""
    name = str(getattr(func, "__name__", func))
    return str(getattr(func.__self__, "__name__", name)) if name == "__get__" else name


def no_rule(name: str) -> MethodError:
    """Say that an operation has no rule."""
    return MethodError(
        f"Expected operations with a rule of relevance, but {name!r} has none; use "
        "gradient-rollout, or integrated-gradients, which treats the network as a whole"
    )


def depends(value: Any) -> bool:
    """Whether a value depends on the image: all parameters are frozen in the pass."""
    return isinstance(value, Tensor) and value.requires_grad


def tensors_in(value: Any) -> list[Tensor]:
    """List the tensors in arguments or results, nested or not."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


def _activation(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    return _elementwise(rules.activation, func, args, named)


def _gate(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    return _elementwise(rules.gate, func, args, named)


def _elementwise(by: Rule, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    """Apply a function of single numbers by a rule, in place if it is."""
    x, others, settings = _first(args, named)
    name = name_of(func)
    in_place = (name.endswith("_") and not name.endswith("__")) or settings.get("inplace", False)

    def function(given: Tensor) -> Tensor:
        found: Tensor = func(given.clone() if in_place else given, *others, **settings)
        return found

    found: Tensor = by(x, function)
    return x.copy_(found) if in_place else found


def _normaliser(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    with torch.no_grad():
        return func(*args, **named)


def _dropout(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    training = named.get("training", args[2] if len(args) > 2 else True)
    if training:
        raise MethodError("Expected a network in evaluation mode, but it draws at random (dropout)")
    found: Tensor = func(*args, **named)
    return found


def _sum(given: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    if len(args) < 2:
        raise no_rule(f"{name_of(func)} by keywords")
    like = next(one for one in args if depends(one))
    if not depends(args[0]) and name_of(func) in ("add_", "sub_", "__iadd__", "__isub__"):
        raise no_rule(name_of(func))
    terms = [one if depends(one) else given.ledger.constant(one, like) for one in args[:2]]
    found: Tensor = func(*terms, *args[2:], **named)
    return found


def _product(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    factors = list(args[:2])
    if all(depends(factor) for factor in factors):
        opened = [_is_gate(factor) for factor in factors]
        if opened[0] != opened[1]:  # the signal takes all, as Arras et al. 2017
            factors[opened.index(True)] = factors[opened.index(True)].detach()
        elif name_of(func) in ("mul_", "__imul__"):
            raise no_rule(name_of(func))
        else:
            factors = [rules.factor(factor) for factor in factors]
    found: Tensor = func(*factors, *args[2:], **named)
    return found


def _is_gate(factor: Tensor) -> bool:
    """Whether a factor is a gate that was at most moved and scaled since."""
    node: Any = factor.grad_fn
    while node is not None:
        if type(node).__name__ == "_GateBackward":
            return True
        live = [one for one, _ in node.next_functions if one is not None]
        kind = type(node).__name__.partition("Backward")[0]
        node = live[0] if len(live) == 1 and kind in _MOVES else None
    return False


_MOVES = names(
    "View ReshapeAlias UnsafeView Expand Unsqueeze Squeeze Permute Transpose Select Split Clone "
    "Mul Div Slice Unbind Alias UpsampleNearest2D UpsampleBilinear2D"
)


def _quotient(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    below = args[1].detach() if depends(args[1]) else args[1]
    found: Tensor = func(args[0], below, *args[2:], **named)
    return found


def _matrix(_: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    parts = len([one for one in tensors_in(list(args)) if depends(one)])

    def shared(one: Any) -> Any:
        if isinstance(one, list | tuple):
            return type(one)(shared(part) for part in one)
        return rules.factor(one, parts) if depends(one) and parts > 1 else one

    found: Tensor = func(*[shared(one) for one in args], **named)
    return found


def _join(given: Rules, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    tensors, others, settings = _first(args, named, "tensors")
    like = next(one for one in tensors if depends(one))
    parts = [one if depends(one) else given.ledger.constant(one, like) for one in tensors]
    found: Tensor = func(parts, *others, **settings)
    return found


def _first(
    args: Sequence[Any], named: Mapping[str, Any], *names: str
) -> tuple[Any, Sequence[Any], dict[str, Any]]:
    """Return an operation's first argument, however it is given, and the others."""
    settings = dict(named)
    if args:
        return args[0], args[1:], settings
    key = next(key for key in (*names, "input", "self", "x") if key in settings)
    return settings.pop(key), (), settings


_FAMILIES: tuple[tuple[frozenset[str], Rule], ...] = (
    (ACTIVATIONS, _activation),
    (GATES, _gate),
    (NORMALISERS, _normaliser),
    (DROPOUTS, _dropout),
    (SUMS, _sum),
    (PRODUCTS, _product),
    (QUOTIENTS, _quotient),
    (MATRICES, _matrix),
    (JOINS, _join),
)


@rule("softmax")
def _softmax(
    given: Rules, input: Tensor, dim: int = -1, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    return rules.softmax(input if dtype is None else input.to(dtype), dim, given.ledger)


@rule("masked_fill", "masked_fill_")
def _masked_fill(given: Rules, x: Tensor, mask: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor) or (math.isfinite(value) and value):
        return torch.where(mask, given.ledger.constant(value, x), x)
    return x.masked_fill(mask, value)


@rule("where")
def _where(given: Rules, condition: Tensor, input: Any, other: Any) -> Tensor:
    like = input if depends(input) else other
    terms = [one if depends(one) else given.ledger.constant(one, like) for one in (input, other)]
    found: Tensor = torch.where(condition, terms[0], terms[1])
    return found


@rule("prelu")
def _prelu(_: Rules, input: Tensor, weight: Tensor) -> Tensor:
    slopes = weight.reshape(-1, *[1] * (input.ndim - 2)) if weight.numel() > 1 else weight
    return input * torch.where(input.detach() > 0, torch.ones_like(slopes), slopes)


@rule("glu")
def _glu(_: Rules, input: Tensor, dim: int = -1) -> Tensor:
    signal, gate = input.chunk(2, dim)
    return signal * gate.detach().sigmoid()


@rule("normalize")
def _normalize(
    _: Rules, input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    size: Tensor = input.detach().norm(p, dim, keepdim=True)
    return input / size.clamp_min(eps)
