"""Which tensors of a forward pass the image has a part in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def depend_on(x: Tensor, tensors: Sequence[Tensor]) -> list[bool]:
    """Say of each tensor whether it was computed from `x`, as far as autograd recorded it.

    A table of position biases is not, though layers may give it in the shape of a feature map.
    What was not recorded, as under `no_grad`, is taken as computed from it.

    Args:
        x: a leaf that requires a gradient.
        tensors: of a forward pass.
    """
    reaches: dict[Any, bool] = {}
    return [one.grad_fn is None or _reaches(one.grad_fn, x, reaches) for one in tensors]


def _reaches(node: Any, x: Tensor, known: dict[Any, bool]) -> bool:
    """Walk the graph behind a node once, without recursion: networks are deep."""
    path = [(node, iter(node.next_functions))]
    known.setdefault(node, False)
    while path:
        current, rest = path[-1]
        if getattr(current, "variable", None) is x:
            known[current] = True
        following = None
        for inner, _ in rest:
            if inner is None:
                continue
            if inner not in known:
                following = inner
                break
            known[current] = known[current] or known[inner]
        if following is not None:
            known[following] = False
            path.append((following, iter(following.next_functions)))
            continue
        path.pop()
        if path and known[current]:
            known[path[-1][0]] = True
    return known[node]
