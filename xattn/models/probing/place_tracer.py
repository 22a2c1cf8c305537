"""Following the places of pixels through a forward pass, operation by operation.

Every tensor of the pass gets a companion of the same layout that says, for each number in it,
at which (y, x) of the input it looks. Views need no rule: a companion is stored as its tensor is,
and seen through the same strides. Convolutions, poolings and paddings move places by their
strides; what moves numbers about moves their places too; what is done number by number keeps
them. Where a number comes from everywhere at once (a global average, attention) it has no place,
NaN, and where it meets one that has, the place stays: so squeeze-and-excitation and attention,
which tell a cell about the whole image, do not move it.

This works for any module that is Python, whatever its code looks like, for it sees what is
executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

Rule = Callable[["PlaceTracer", Tensor, Sequence[Any]], Tensor | None]
"""From the operation's output and arguments to the output's places (2, *shape), or NaN (None)."""

_RULES: dict[str, Rule] = {}

_MOVES = frozenset(
    {
        "cat", "stack", "clone", "_to_copy", "contiguous", "roll", "flip", "index", "index_select",
        "gather", "take_along_dim", "repeat", "repeat_interleave", "pixel_shuffle",
        "pixel_unshuffle", "channel_shuffle", "im2col", "tril", "triu",
    }
)  # fmt: skip
"""Operations that only move numbers: what they do to a tensor they do to its places."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register what happens to places in operations of some names."""

    def register(one: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, one))
        return one

    return register


class PlaceTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the places of all tensors that are made while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places: dict[int, Tensor] = {}
        self._size = (0, 0)
        self._kept: list[Any] = []  # an address must not be used twice

    def start(self, x: Tensor) -> None:
        """Give the pixels of an input (n, C, height, width) their places."""
        height, width = x.shape[-2:]
        self._size = (height, width)
        rows = torch.arange(height, dtype=torch.float32, device=x.device)[:, None]
        columns = torch.arange(width, dtype=torch.float32, device=x.device)
        self._put(x, torch.stack([rows.expand(x.shape), columns.expand(x.shape)]))

    def within(self, places: Tensor) -> Tensor:
        """Return places (2, *shape) with NaN for those beyond the image."""
        size = places.new_tensor(self._size).reshape(2, *[1] * (places.ndim - 1))
        beyond = ((places < -0.5) | (places > size - 0.5)).any(dim=0)
        return places.masked_fill(beyond, torch.nan)

    def places(self, x: Tensor) -> Tensor | None:
        """Return the places of a tensor's numbers, (2, *shape), y first; None for a constant."""
        known = self._places.get(_address(x))
        if known is None or known.shape[1] != _numbers(x):
            return None
        return known.as_strided((2, *x.shape), (known.shape[1], *x.stride()), x.storage_offset())

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation, and say where the numbers of its result lie."""
        kwargs = kwargs or {}
        inputs = [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, Tensor)]
        result = func(*args, **kwargs)
        if not any(self.places(t) is not None for t in inputs):
            return result
        outputs = [r for r in tree_flatten(result)[0] if isinstance(r, Tensor)]
        name = func._schema.name.rpartition("::")[2]
        if not func._schema.is_mutable:
            old = {_address(t) for t in inputs}
            outputs = [r for r in outputs if _address(r) not in old]  # the others are views
        for i, output in enumerate(outputs):
            self._put(output, self._found(func, name.removesuffix("_"), output, i, args, kwargs))
        return result

    def _found(
        self,
        func: Any,
        name: str,
        output: Tensor,
        number: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor | None:
        if name in _MOVES:
            return self._moved(func, number, args, kwargs)
        if name in _RULES:
            return _RULES[name](self, output, args) if number == 0 else None
        if "attention" in name:
            return None
        # Everything else that keeps the shape works number by number, or on channels.
        return self.merged(output, tree_flatten((args, kwargs))[0])

    def merged(self, output: Tensor, inputs: Iterable[Any]) -> Tensor | None:
        """Combine the places of inputs that meet number by number."""
        merged: Tensor | None = None
        for one in inputs:
            mine = self.places(one) if isinstance(one, Tensor) else None
            if mine is None:
                continue
            try:
                lead = output.ndim - mine.ndim + 1
                wide = mine.reshape(2, *[1] * lead, *mine.shape[1:]).expand(2, *output.shape)
            except RuntimeError:
                continue
            merged = wide if merged is None else _meet(merged, wide)
        return merged

    def _moved(
        self, func: Any, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        def axis(which: int) -> Tensor:
            def swap(t: Tensor) -> Tensor:
                known = self.places(t)
                if known is not None:
                    return known[which]
                floating = t.is_floating_point()  # what is no number of the image has no place
                return torch.full(t.shape, torch.nan, device=t.device) if floating else t

            new_args, new_kwargs = tree_map_only(Tensor, swap, (args, kwargs))
            if "dtype" in new_kwargs:
                new_kwargs = {**new_kwargs, "dtype": torch.float32}
            result = tree_flatten(func(*new_args, **new_kwargs))[0]
            return [r for r in result if isinstance(r, Tensor)][number]

        return torch.stack([axis(0), axis(1)])

    def _put(self, x: Tensor, value: Tensor | None) -> None:
        address = _address(x)
        known = self._places.get(address)
        if known is None or known.shape[1] != _numbers(x):
            known = torch.full((2, _numbers(x)), torch.nan, device=x.device)
            self._places[address] = known
            self._kept.append(x.untyped_storage())
        mine = known.as_strided((2, *x.shape), (known.shape[1], *x.stride()), x.storage_offset())
        value = torch.full_like(mine, torch.nan) if value is None else value
        for dim, stride in enumerate(x.stride(), start=1):
            if stride == 0:  # one number seen many times is written once
                mine, value = mine.narrow(dim, 0, 1), value.narrow(dim, 0, 1)
        in_place = _address(value) == _address(known)
        mine.copy_(value.clone() if in_place else value)


def _address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _numbers(x: Tensor) -> int:
    return x.untyped_storage().nbytes() // max(1, x.element_size())


def _meet(a: Tensor, b: Tensor) -> Tensor:
    """Places of numbers that come from two places: the one that is known, or between them.

    Where two known places are further apart than half a cell, as when a neighbour looks at
    another, the operand with more places counts; if neither has more, there is none.
    """
    result = torch.where(a.isnan(), b, a)
    apart = (a - b).abs()
    if not bool((apart > 1e-3).any()):  # NaN compares as False
        return result
    near = apart <= 0.5 * torch.stack([_step(a[i]) for i in (0, 1)]).view(2, *[1] * (a.ndim - 1))
    many, few = distinct(a), distinct(b)
    far = a if many >= 2 * few else b if few >= 2 * many else torch.full_like(a, torch.nan)
    both = ~a.isnan() & ~b.isnan()
    return torch.where(both, torch.where(near.all(dim=0), (a + b) / 2, far), result)


def _step(places: Tensor) -> Tensor:
    """The spacing of places along one axis."""
    levels = _levels(places)
    return levels.diff().median() if len(levels) > 1 else levels.new_tensor(0.0)


def _levels(places: Tensor) -> Tensor:
    known = places[~places.isnan()]
    return torch.unique((known * 256).round()) / 256  # type: ignore[no-any-return]


def distinct(places: Tensor) -> int:
    """Count the places of (2, *shape): rows times columns."""
    return len(_levels(places[0])) * len(_levels(places[1]))
