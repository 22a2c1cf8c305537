"""Following the places of pixels through a forward pass, operation by operation.

Every tensor of the pass gets a companion of the same layout that says, for each number in it,
at which (y, x) of the input it looks. Views need no rule: a companion is stored as its tensor is,
and seen through the same strides. Convolutions, poolings and paddings move places by their
strides; what moves numbers about moves their places too; what is done number by number keeps
them. Where a number comes from everywhere at once (a global average, attention) it has no place,
NaN, and where it meets one that has, the place stays: so squeeze-and-excitation and attention, which
tell a cell about the whole image, do not move it.

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
    "cat stack clone _to_copy contiguous roll flip index index_select gather take_along_dim repeat "
    "pixel_shuffle pixel_unshuffle channel_shuffle im2col masked_select tril triu "
    "repeat_interleave".split()
)
"""Operations that only move numbers: what they do to a tensor they do to its places."""

_REDUCTIONS = frozenset(
    "mean sum amax amin max min var std var_mean std_mean norm linalg_vector_norm prod logsumexp "
    "nansum nanmean median argmax argmin".split()
)


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


class PlaceTracer(TorchDispatchMode):
    """Notes the places of all tensors that are made while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, Tensor] = {}
        self._kept: list[Any] = []  # an address must not be used twice

    def start(self, x: Tensor) -> None:
        """Give the pixels of an input (n, C, height, width) their places."""
        height, width = x.shape[-2:]
        kind = {"dtype": torch.float32, "device": x.device}
        y = torch.arange(height, **kind)[:, None].expand(x.shape)
        self._put(x, torch.stack([y, torch.arange(width, **kind).expand(x.shape)]))

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
        mine.copy_(torch.full_like(mine, torch.nan) if value is None else value)


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
    many, few = _distinct(a), _distinct(b)
    far = a if many >= 2 * few else b if few >= 2 * many else torch.full_like(a, torch.nan)
    both = ~a.isnan() & ~b.isnan()
    return torch.where(both, torch.where(near.all(dim=0), (a + b) / 2, far), result)


def _step(places: Tensor) -> Tensor:
    """The spacing of places along one axis."""
    levels = _levels(places)
    return levels.diff().median() if len(levels) > 1 else levels.new_tensor(0.0)


def _levels(places: Tensor) -> Tensor:
    known = places[~places.isnan()]
    return (known * 256).round().unique() / 256


def _distinct(places: Tensor) -> int:
    return len(_levels(places[0])) * len(_levels(places[1]))


def along(places: Tensor, dim: int, index: Tensor) -> Tensor:
    """Read places at fractional positions along a dimension, going on straight beyond its ends.

    Args:
        places: (2, *shape).
        dim: counted without the first.
        index: (n_out,) in units of the dimension's positions.
    """
    n = places.shape[dim + 1]
    if n == 1:
        return places.expand(
            *(len(index) if i == dim + 1 else s for i, s in enumerate(places.shape))
        )
    low = index.floor().clamp(0, n - 2)
    weight = (index - low).to(places)
    matrix = torch.zeros(len(index), n, dtype=places.dtype, device=places.device)
    rows = torch.arange(len(index), device=places.device)
    first = low.long().to(places.device)
    matrix[rows, first] += 1 - weight
    matrix[rows, first + 1] += weight
    # In the matrix product NaN would spread along the dimension.
    lost = places.isnan()
    moved = torch.movedim(torch.movedim(places.nan_to_num(), dim + 1, -1) @ matrix.T, -1, dim + 1)
    if not bool(lost.any()):
        return moved
    hurt = torch.movedim(lost.to(matrix), dim + 1, -1) @ (matrix != 0).to(matrix).T > 0
    return torch.where(torch.movedim(hurt, -1, dim + 1), torch.nan, moved)


def _over_channels(places: Tensor, output: Tensor, index: Sequence[Tensor]) -> Tensor:
    """Move the places of (2, n, C, *space) by one index a spatial axis, the same in all channels."""
    plain = places.nanmean(dim=2, keepdim=True)
    for i, one in enumerate(index):
        plain = along(plain, 2 + i, one)
    return plain.expand(2, *output.shape)


def _pair(value: Any, n: int) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return [int(v) for v in (values * n if len(values) == 1 else values)]


def _argument(args: Sequence[Any], place: int, default: Any) -> Any:
    return args[place] if len(args) > place and args[place] not in (None, []) else default


def _windows(
    output: Tensor, dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> list[Tensor]:
    """Where the middles of sliding windows lie, in positions of the input, along each axis."""
    sides = zip(
        output.shape[-dims:], *(_pair(v, dims) for v in (kernel, stride, padding, dilation)),
        strict=True,
    )  # fmt: skip
    return [
        torch.arange(n, dtype=torch.float32) * step - before + far * (side - 1) / 2
        for n, side, step, before, far in sides
    ]


@_rule("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "mkldnn_convolution")
def _convolution(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    dims = output.ndim - 2
    kernel = list(args[1].shape[2:])
    stride, padding, dilation = (_argument(args, i, d) for i, d in ((3, 1), (4, 0), (5, 1)))
    if not _argument(args, 6, False):
        return _over_channels(
            places, output, _windows(output, dims, kernel, stride, padding, dilation)
        )
    sides = zip(
        output.shape[-dims:], kernel, *(_pair(v, dims) for v in (stride, padding, dilation)),
        strict=True,
    )  # fmt: skip
    index = [
        (torch.arange(n, dtype=torch.float32) + before - far * (side - 1) / 2) / step
        for n, side, step, before, far in sides
    ]
    return _over_channels(places, output, index)


@_rule("max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "max_pool1d", "max_pool3d")
def _pooling(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    kernel = args[1]
    stride, padding = _argument(args, 2, kernel), _argument(args, 3, 0)
    # The fifth argument of an average is whether it counts a border, not a dilation.
    dilation = args[4] if len(args) > 4 and isinstance(args[4], list | tuple) else 1
    return _over_channels(places, output, _windows(output, 2, kernel, stride, padding, dilation))


@_rule("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None or (output.shape[-2:] == (1, 1) and args[0].shape[-2:] != (1, 1)):
        return None
    index = []
    for n_in, n_out in zip(args[0].shape[-2:], output.shape[-2:], strict=True):
        o = torch.arange(n_out, dtype=torch.float32)
        index.append(((o * n_in / n_out).floor() + ((o + 1) * n_in / n_out).ceil() - 1) / 2)
    return _over_channels(places, output, index)


@_rule(
    "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d",
    "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)  # fmt: skip
def _upsampling(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    index = [
        (torch.arange(n_out, dtype=torch.float32) + 0.5) * n_in / n_out - 0.5
        for n_in, n_out in zip(args[0].shape[-2:], output.shape[-2:], strict=True)
    ]
    return _over_channels(places, output, index)


@_rule(
    "constant_pad_nd", "pad", "reflection_pad2d", "replication_pad2d", "reflection_pad1d",
    "replication_pad1d",
)  # fmt: skip
def _padding(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    amounts = list(args[1])
    for i in range(len(amounts) // 2):
        dim = output.ndim - 1 - i
        places = along(places, dim, torch.arange(output.shape[dim]) - float(amounts[2 * i]))
    return places


@_rule(*_REDUCTIONS)
def _reduction(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None or output.ndim == 0:
        return None
    dims = args[1] if len(args) > 1 else None
    if not isinstance(dims, int | list | tuple) or dims == []:
        dims = None
    wanted = range(args[0].ndim) if dims is None else ([dims] if isinstance(dims, int) else dims)
    axes = [d % args[0].ndim + 1 for d in wanted]
    kept = places.amax(dim=axes, keepdim=True)
    if not bool((kept - places.amin(dim=axes, keepdim=True) < 1e-3).all()):
        return None
    return kept.reshape(2, *output.shape) if kept[0].numel() == output.numel() else None


@_rule("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax")
def _softmax(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    dim = int(args[1]) % output.ndim + 1
    spread = places.amax(dim=dim) - places.amin(dim=dim)
    return places if bool((spread < 1e-3).all()) else None


@_rule("mm", "bmm", "matmul")
def _product(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    a, b = args[0], args[1]
    left, right = tracer.places(a), tracer.places(b)
    if a.ndim < 2 or b.ndim < 2:
        return None
    return _contracted(output, left, right)


@_rule("addmm", "baddbmm")
def _affine(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    return _contracted(output, tracer.places(args[1]), tracer.places(args[2]))


@_rule("linear")
def _linear(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    return _contracted(output, tracer.places(args[0]), None)


def _contracted(output: Tensor, left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """Places of a matrix product, of those of its factors (2, ..., m, k) and (2, ..., k, n).

    A constant factor mixes what is there: the middle of it, if that still says where (a patch's
    pixels in a linear embedding do, all positions of an image do not). Two factors of the image
    are attention: only what both agree on has a place.
    """
    found: Tensor | None = None
    for places, dim in ((left, -1), (right, -2)):
        if places is None:
            continue
        mean = places.mean(dim=dim, keepdim=True)
        even = bool((places.amax(dim=dim) - places.amin(dim=dim) < 1e-3).all())
        if not even and (left is not None and right is not None or _distinct(mean) <= 1):
            return None
        wide = mean.expand(2, *output.shape)
        if found is not None and not bool(((found - wide).abs() < 1e-3).all()):
            return None
        found = wide
    return found
