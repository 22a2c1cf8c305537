"""A relative position bias for attention logits on maps of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RelativePositionBias(nn.Module):
    """Logits of a head for the offset between two positions, by a small network.

    A table would fit one map size. As in Swin V2 (Liu et al. 2022, eq. 4), the offset in rows and
    columns, on a logarithmic scale, goes through two linear layers instead, so that other sizes
    than those of the training are a mild extrapolation. The last layer starts at 0: no bias.

    Args:
        heads: number of heads.
        hidden: width of the layer between.
    """

    def __init__(self, heads: int, hidden: int = 32) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, hidden)
        self.head = nn.Linear(hidden, heads, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, h: int, w: int) -> Tensor:
        """Return the bias of every pair of positions, (heads, h * w, h * w).

        [head, i, j] is what the logit of position i for position j gets; it depends on their
        offset alone. Each offset is computed once.
        """
        device, dtype = self.head.weight.device, self.head.weight.dtype
        rows = torch.arange(1 - h, h, device=device, dtype=dtype)
        columns = torch.arange(1 - w, w, device=device, dtype=dtype)
        offsets = torch.cartesian_prod(rows, columns)
        scaled = offsets.sign() * offsets.abs().log1p()
        by_offset: Tensor = self.head(self.hidden(scaled).relu())
        return by_offset.T[:, _offset_index(h, w, device)]


def _offset_index(h: int, w: int, device: torch.device) -> Tensor:
    """Which offset, in the order above, lies between two positions: (h * w, h * w)."""
    y = torch.arange(h, device=device)
    x = torch.arange(w, device=device)
    dy = y[None, :] - y[:, None] + h - 1
    dx = x[None, :] - x[:, None] + w - 1
    return (dy[:, None, :, None] * (2 * w - 1) + dx[None, :, None, :]).reshape(h * w, h * w)
