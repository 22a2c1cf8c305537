"""A private copy of a network in which every operation that rules are made for is its own module.

DeepLIFT and LRP replace the gradients of modules. They are silently wrong where an activation or
a pooling is called as a function or shared between places, where branches are added by `+`, where
batch norm stands between a convolution and its activation, and at operations they have no rule
for. The copy is traced once and rewritten; what then has no rule is named, not passed over.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from xattn.errors import MethodError

Maker = Callable[[], nn.Module]


class Add(nn.Module):
    """The sum of two branches."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Add."""
        return first + second


class Mean(nn.AdaptiveAvgPool2d):
    """An average over given axes; pooling by type, so that rules for pooling apply."""

    def __init__(self, dim: Any = None, keepdim: bool = False, axis: Any = None) -> None:
        super().__init__(1)
        self.dim = axis if dim is None else dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        """Average."""
        return x.mean(self.dim, self.keepdim)


_ACTIVATIONS: dict[Any, type[nn.Module]] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    torch.relu_: nn.ReLU,
    torch.sigmoid: nn.Sigmoid,
    F.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
    F.tanh: nn.Tanh,
    "relu": nn.ReLU,
    "relu_": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
_POOLINGS: dict[Any, type[nn.Module]] = {
    F.max_pool2d: nn.MaxPool2d,
    torch.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    torch.mean: Mean,
    "mean": Mean,
}
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_SHAPES = (
    torch.flatten, torch.cat, torch.reshape, torch.squeeze, operator.getitem, getattr,
    "flatten", "reshape", "view", "squeeze", "contiguous", "size",
)  # fmt: skip
"""Operations that only move numbers: relevance goes with them."""
LINEAR = (
    nn.Conv2d, nn.Linear, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d,
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten,
)  # fmt: skip
"""Modules that every set of rules here covers, beside activations and sums."""
_SHARED = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh, nn.MaxPool2d)


def canonize(
    module: nn.Module, covered: tuple[type[nn.Module], ...], add: Maker = Add
) -> nn.Module:
    """Copy and rewrite a network; the original is left alone.

    Args:
        module: in evaluation mode.
        covered: modules with a rule, beside `LINEAR` and sums.
        add: makes the module that stands for a sum.

    Raises:
        MethodError: its forward cannot be traced, or has an operation without a rule.
    """
    try:
        network: Any = fuse(module)  # copies it, and folds batch norms into convolutions
    except Exception as err:  # whatever a foreign forward does when it is traced
        first = (str(err).splitlines() or [""])[0]
        raise MethodError(
            f"Expected a forward that can be traced, but got {type(err).__name__}: {first}; "
            "use integrated-gradients, which treats the network as a whole"
        ) from err
    for part in network.modules():
        if getattr(part, "inplace", False):
            part.inplace = False
    graph: fx.Graph = network.graph
    for node in graph.nodes:
        if node.op.startswith("call_"):
            maker = _maker(network, node, covered, add)
            if maker is not None:
                _replace(network, node, maker())
    network.recompile()
    evaluating: nn.Module = network.eval()
    return evaluating


def _maker(
    network: nn.Module, node: fx.Node, covered: Iterable[type[nn.Module]], add: Maker
) -> Maker | None:
    """Say what a node becomes; None if it may stay.

    Raises:
        MethodError: nothing is known about it.
    """
    kind: Any = node.target
    if node.op == "call_module":
        part = network.get_submodule(kind)
        if type(part) in (*LINEAR, *covered):
            return partial(copy.deepcopy, part) if type(part) in _SHARED else None
        kind = type(part).__name__
    elif kind in _ACTIVATIONS and _ACTIVATIONS[kind] in covered:
        return _ACTIVATIONS[kind]
    elif kind in _POOLINGS:
        return partial(_POOLINGS[kind], *node.args[1:], **_settings(node))
    elif kind in _SUMS and sum(isinstance(a, fx.Node) for a in node.args) == 2:
        return add
    elif kind in _SHAPES or kind is F.dropout:
        return None
    raise MethodError(
        f"Expected a network of convolutions, sums, pooling and plain activations, but "
        f"{getattr(kind, '__name__', kind)!r} has no rule; use integrated-gradients"
    )


def _settings(node: fx.Node) -> dict[str, Any]:
    """Return a pooling function's settings as its module takes them."""
    kept = {k: v for k, v in node.kwargs.items() if k not in ("input", "x")}
    if kept.get("return_indices") is False:
        del kept["return_indices"]
    return kept


def _replace(network: nn.Module, node: fx.Node, part: nn.Module) -> None:
    name = f"own_{node.name}"
    network.add_module(name, part)
    tensors = [a for a in (*node.args, *node.kwargs.values()) if isinstance(a, fx.Node)]
    with node.graph.inserting_before(node):
        replacement = node.graph.call_module(name, tuple(tensors))
    node.replace_all_uses_with(replacement)
    node.graph.erase_node(node)
