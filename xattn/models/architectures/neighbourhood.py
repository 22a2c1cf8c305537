"""Attention of every position to its k x k neighbourhood, as sums over shifted views.

Unfolding keys and values copies each of them k * k times. Here one row of the window is taken at
a time, k shifted views of the map, and the softmax runs along: its maximum and its sum so far are
kept, and what was added up before is rescaled when the maximum rises (Milakov and Gimelshein 2018,
as FlashAttention does with tiles of keys: Dao et al. 2022). The backward pass computes the weights
again, row by row, from the logarithm of the sums. So nothing of size k * k is ever held: peak
memory is that of a few maps, and of k logits per position and head.

Shifts are slices of what overlaps: positions off the map take no part, so there is no padding.
Channels come last, so that a shifted view still has long runs of neighbours in memory, on small
maps too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

Index = tuple[slice, slice, slice]


def attend(q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Mix values over each position's neighbourhood, weighted by a softmax.

    The logit of position p for the neighbour at offset (i, j) is q(p) . k(p + (i, j)) plus
    `row[i]` and `column[j]` at p. Neighbours off the map have no weight. Half precision is summed
    in float32, as fused attention does.

    Args:
        q, k, v: queries, already scaled, keys and values, each (n, h, w, heads, d).
        row, column: logits of the window's rows and columns, (side, n, h, w, heads), side odd.

    Returns:
        (n, h, w, heads, d), of the type of `v`.
    """
    if has_torch_function((q, k, v, row, column)):  # rules of relevance take it apart
        found: Tensor = handle_torch_function(attend, (q, k, v, row, column), q, k, v, row, column)
        return found
    if (
        torch._C._get_tracing_state() is not None
    ):  # what compiles a network knows no functions of autograd
        return _attend_in_the_open(q, k, v, row, column)
    exact = torch.promote_types(v.dtype, torch.float32)
    given = (x.to(exact).contiguous() for x in (q, k, v, row, column))
    mixed: Tensor = _Attend.apply(*given)
    return mixed.to(v.dtype)


def attention_weights(q: Tensor, k: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Build the weights that `attend` uses without building them.

    Returns:
        (side, side, n, h, w, heads): [i, j, :, y, x] is what position (y, x) gives to its
        neighbour at (y + i - side // 2, x + j - side // 2). The sum over i and j is 1.
    """
    logits = torch.stack([_logits(q, k, row, column, i) for i in range(len(row))])
    return logits.flatten(0, 1).softmax(dim=0).view_as(logits)


def _attend_in_the_open(q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Do what `attend` does with plain operations: all logits at once, keys and values padded."""
    side, h, w = row.shape[0], q.shape[1], q.shape[2]
    half = side // 2
    margin = (0, 0, 0, 0, half, half, half, half)
    keys, values = (nn.functional.pad(x, margin) for x in (k, v))
    there = nn.functional.pad(torch.ones(1, h, w, 1, dtype=q.dtype), (0, 0, half, half, half, half))
    places = [(i, j) for i in range(side) for j in range(side)]

    def seen(x: Tensor, i: int, j: int) -> Tensor:
        return x[:, i : i + h, j : j + w]

    logits = [
        (q * seen(keys, i, j)).sum(-1)
        + row[i]
        + column[j]
        + (seen(there, i, j) - 1) * -torch.finfo(q.dtype).min / 4  # off the map: no weight
        for i, j in places
    ]
    weights = torch.stack(logits).softmax(dim=0)
    mixed = torch.zeros_like(v)
    for place, (i, j) in enumerate(places):
        mixed = mixed + weights[place][..., None] * seen(values, i, j)
    return mixed


class _Attend(torch.autograd.Function):
    """`attend`, with its own backward pass: autograd would keep every shifted product."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
        side, n, h, w, heads = row.shape
        peak = q.new_full((n, h, w, heads), torch.finfo(q.dtype).min)
        total, mixed = torch.zeros_like(peak), torch.zeros_like(v)
        for i in range(side):
            logits = _logits(q, k, row, column, i)
            higher = torch.maximum(peak, logits.amax(dim=0))
            weights = logits.sub_(higher).exp_()
            fading = peak.sub_(higher).exp_()
            total.mul_(fading).add_(weights.sum(dim=0))
            mixed.mul_(fading[..., None])
            for j, here, there in _shifts(i, side, h, w):
                mixed[here].addcmul_(weights[j][here][..., None], v[there])
            peak = higher
        mixed.div_(total[..., None])
        ctx.save_for_backward(q, k, v, row, column, mixed, total.log_().add_(peak))
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        g = gradients[0].contiguous()
        q, k, v, row, column, mixed, log_total = ctx.saved_tensors
        side, _, h, w, _ = row.shape
        # The softmax's derivative: d logit = weight * (d weight - sum of weight * d weight).
        inner = (g * mixed).sum(dim=-1)
        dq, dk, dv, dcolumn = (torch.zeros_like(x) for x in (q, k, v, column))
        drow = torch.empty_like(row)
        for i in range(side):
            weights = _logits(q, k, row, column, i).sub_(log_total).exp_()
            dlogits = _products(g, v, i, side, 0.0).sub_(inner).mul_(weights)
            for j, here, there in _shifts(i, side, h, w):
                weight, dlogit = weights[j][here][..., None], dlogits[j][here][..., None]
                dv[there].addcmul_(weight, g[here])
                dq[here].addcmul_(dlogit, k[there])
                dk[there].addcmul_(dlogit, q[here])
            drow[i] = dlogits.sum(dim=0)
            dcolumn += dlogits
        return dq, dk, dv, drow, dcolumn


def _logits(q: Tensor, k: Tensor, row: Tensor, column: Tensor, i: int) -> Tensor:
    """Logits for row i of the window, (side, n, h, w, heads); minus infinity off the map."""
    return _products(q, k, i, len(row), -torch.inf).add_(row[i]).add_(column)


def _products(a: Tensor, b: Tensor, i: int, side: int, off_map: float) -> Tensor:
    """Scalar products of a with b shifted along row i of the window, (side, n, h, w, heads)."""
    found = a.new_full((side, *a.shape[:-1]), off_map)
    for j, here, there in _shifts(i, side, *a.shape[1:3]):
        found[j][here] = (a[here] * b[there]).sum(dim=-1)
    return found


def _shifts(i: int, side: int, h: int, w: int) -> Iterator[tuple[int, Index, Index]]:
    """For row i of the window, walk its columns j: which positions see which."""
    every = slice(None)
    y_here, y_there = _overlap(i - side // 2, h)
    for j in range(side):
        x_here, x_there = _overlap(j - side // 2, w)
        yield j, (every, y_here, x_here), (every, y_there, x_there)


def _overlap(offset: int, size: int) -> tuple[slice, slice]:
    """Positions whose neighbour at `offset` is on the map, and those neighbours."""
    first, length = max(0, -offset), max(0, size - abs(offset))
    return slice(first, first + length), slice(first + offset, first + offset + length)
