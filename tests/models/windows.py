"""The slow twin of attention over neighbourhoods: unfold, which copies the map k * k times."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def unfolded_weights(q: Tensor, k: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Softmax over the window of every position: (n, side * side, h, w)."""
    n, _, h, w = q.shape
    side = row.shape[1]
    logits = (q[:, :, None] * _unfold(k, side)).sum(1)
    logits = logits + (row[:, :, None] + column[:, None]).reshape(n, side * side, h, w)
    there = _unfold(torch.ones(1, 1, h, w, dtype=q.dtype, device=q.device), side)[:, 0]
    return logits.masked_fill(there == 0, -torch.inf).softmax(1)


def unfolded_attention(q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """As `neighbourhood.attend`, with every window built: (n, d, h, w)."""
    weights = unfolded_weights(q, k, row, column)
    return (weights[:, None] * _unfold(v, row.shape[1])).sum(2)


def _unfold(x: Tensor, side: int) -> Tensor:
    n, d, h, w = x.shape
    return F.unfold(x, side, padding=side // 2).reshape(n, d, side * side, h, w)
