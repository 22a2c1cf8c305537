"""What each kind of operation does to the places of the numbers it takes (see `place_tracer`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xattn.models.probing.place_tracer import PlaceTracer, distinct, rule

_REDUCTIONS = (
    "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "norm",
    "linalg_vector_norm", "prod", "logsumexp", "nansum", "nanmean", "median", "argmax", "argmin",
)  # fmt: skip


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
    """Move the places (2, n, C, *space) by one index a spatial axis, alike in all channels."""
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


@rule("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "mkldnn_convolution")
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


@rule("max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "max_pool1d", "max_pool3d")
def _pooling(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    kernel = args[1]
    stride, padding = _argument(args, 2, kernel), _argument(args, 3, 0)
    # The fifth argument of an average is whether it counts a border, not a dilation.
    dilation = args[4] if len(args) > 4 and isinstance(args[4], list | tuple) else 1
    return _over_channels(places, output, _windows(output, 2, kernel, stride, padding, dilation))


@rule("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None or (output.shape[-2:] == (1, 1) and args[0].shape[-2:] != (1, 1)):
        return None
    index = []
    for n_in, n_out in zip(args[0].shape[-2:], output.shape[-2:], strict=True):
        o = torch.arange(n_out, dtype=torch.float32)
        index.append(((o * n_in / n_out).floor() + ((o + 1) * n_in / n_out).ceil() - 1) / 2)
    return _over_channels(places, output, index)


@rule(
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


@rule(
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


@rule(*_REDUCTIONS)
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


@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax")
def _softmax(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    places = tracer.places(args[0])
    if places is None:
        return None
    dim = int(args[1]) % output.ndim + 1
    spread = places.amax(dim=dim) - places.amin(dim=dim)
    return places if bool((spread < 1e-3).all()) else None


@rule("mm", "bmm", "matmul")
def _product(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    a, b = args[0], args[1]
    left, right = tracer.places(a), tracer.places(b)
    if a.ndim < 2 or b.ndim < 2:
        return None
    return _contracted(tracer, output, left, right)


@rule("addmm", "baddbmm")
def _affine(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    return _contracted(tracer, output, tracer.places(args[1]), tracer.places(args[2]))


@rule("linear")
def _linear(tracer: PlaceTracer, output: Tensor, args: Sequence[Any]) -> Tensor | None:
    return _contracted(tracer, output, tracer.places(args[0]), None)


def _contracted(
    tracer: PlaceTracer, output: Tensor, left: Tensor | None, right: Tensor | None
) -> Tensor | None:
    """Places of a matrix product, of those of its factors (2, ..., m, k) and (2, ..., k, n).

    A constant factor mixes what is there: the middle of it, if that still says where (a patch's
    pixels in a linear embedding do, all positions of an image do not). Padding, which lies beyond
    the image, does not count beside what lies within. Two factors of the image are attention:
    only what both agree on has a place.
    """
    found: Tensor | None = None
    for places, dim in ((left, -1), (right, -2)):
        if places is None:
            continue
        mean = tracer.within(places).nanmean(dim=dim, keepdim=True)
        mean = torch.where(mean.isnan(), places.mean(dim=dim, keepdim=True), mean)
        even = bool((places.amax(dim=dim) - places.amin(dim=dim) < 1e-3).all())
        if not even and ((left is not None and right is not None) or distinct(mean) <= 1):
            return None
        wide = mean.expand(2, *output.shape)
        if found is not None and not bool(((found - wide).abs() < 1e-3).all()):
            return None
        found = wide
    return found
