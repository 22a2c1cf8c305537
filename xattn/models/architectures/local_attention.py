"""LA and ELA: every position attends to its k x k neighbourhood.

The study's block formulas are not public; these are this project's reconstructions. LA follows
Ramachandran et al. (2019, stand-alone self-attention), ELA does the same in an embedded space, as
Zhao et al. (2020, SAN) and Wang et al. (2018) embed theirs.
"""

from __future__ import annotations

from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.models.architectures.neighbourhood import attend, attention_weights

Position = Literal["relative", "none"]


class WindowedHeads(nn.Module):
    """Multi-head attention over k x k neighbourhoods: the part common to LA and ELA.

    out(softmax((q . (key + r)) / sqrt(d)) v) with 1x1 convolutions for q, key, v and out, and r
    the embedding of the neighbour's offset: the first half of its d values is learned per row of
    the window, the second half per column, for each head on its own.

    The weights are never built in `forward`. `attention_weights` computes them from the outputs of
    the named submodules `query` and `key`, where their outputs can be captured by a hook.

    Args:
        width: channels of the input, the queries, the keys and the values.
        channels: channels of the output.
        heads: number of heads; must divide `width`.
        kernel: k, the side of the window; odd.
        position: "relative" for the embeddings r, "none" for r = 0.
    """

    def __init__(
        self, width: int, channels: int, heads: int, kernel: int, position: Position
    ) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise UsageError(f"Expected heads to divide {width} channels, but got {heads}")
        if kernel < 1 or kernel % 2 == 0:
            raise UsageError(f"Expected an odd kernel, 1 or more, but got {kernel}")
        if position not in ("relative", "none"):
            raise UsageError(f"Expected position 'relative' or 'none', but got {position!r}")
        self.heads, self.kernel, self.position = heads, kernel, position
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(width, width, 1)
        self.value = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, channels, 1)
        if position == "relative":
            d = width // heads
            self.row = nn.Parameter(torch.empty(heads, d // 2, kernel))
            self.column = nn.Parameter(torch.empty(heads, d - d // 2, kernel))
            for embedding in (self.row, self.column):
                nn.init.trunc_normal_(embedding, std=0.02)

    def mix(self, x: Tensor) -> Tensor:
        """Map (n, width, h, w) to (n, channels, h, w), the gate and the residual left out."""
        q, row, column = self._queries(self.query(x))
        mixed = attend(q, self._split(self.key(x)), self._split(self.value(x)), row, column)
        attended: Tensor = self.out(mixed.flatten(3).permute(0, 3, 1, 2))
        return attended

    def attention_weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Compute the weights the block used, from its `query` and `key` outputs.

        Returns:
            (n, heads, k, k, h, w): what position (y, x) gives to its neighbour at
            (y + i - k // 2, x + j - k // 2) is at [..., i, j, y, x]; the sum over i and j is 1,
            and what would lie off the map is 0.
        """
        q, row, column = self._queries(query)
        return attention_weights(q, self._split(key), row, column).permute(2, 5, 0, 1, 3, 4)

    def no_weight_decay(self) -> set[str]:
        """Name the position embeddings, which no optimiser should shrink."""
        return {"row", "column"} if self.position == "relative" else set()

    def _split(self, x: Tensor) -> Tensor:
        """Rearrange (n, width, h, w) to (n, h, w, heads, d)."""
        n, _, h, w = x.shape
        return x.permute(0, 2, 3, 1).reshape(n, h, w, self.heads, -1)

    def _queries(self, query: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scale the queries; return them and their logits for the window's rows and columns."""
        q = self._split(query)
        q = q * q.shape[-1] ** -0.5
        if self.position == "none":
            nothing = q.new_zeros(()).expand(self.kernel, *q.shape[:-1])
            return q, nothing, nothing
        half = self.row.shape[1]
        row = torch.einsum("nhwed,edk->knhwe", q[..., :half], self.row)
        column = torch.einsum("nhwed,edk->knhwe", q[..., half:], self.column)
        return q, row, column


class LocalAttention(WindowedHeads):
    """LA, as a gated residual: y = x + gate * attention over the neighbourhoods of x.

    The gate starts at 0, so a pretrained backbone starts unchanged.

    Args:
        channels: C of the (n, C, h, w) input and output.
        heads: number of heads; must divide `channels`.
        kernel: k, the side of the window; odd. It may be larger than the map.
        position: "relative" (row and column embeddings) or "none".
    """

    def __init__(
        self, channels: int, heads: int = 4, kernel: int = 7, position: Position = "relative"
    ) -> None:
        super().__init__(channels, channels, heads, kernel, position)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, h, w) to the same shape."""
        return x + self.gate * self.mix(x)


class EmbeddedLocalAttention(WindowedHeads):
    """ELA: local attention between embeddings of C / r channels, projected back, gated.

    y = x + gate * out(local attention of embed(x)), embed a 1x1 convolution with batch norm and
    ReLU. The gate starts at 0, so a pretrained backbone starts unchanged.

    Args:
        channels: C of the (n, C, h, w) input and output.
        heads: number of heads.
        kernel: k, the side of the window; odd. It may be larger than the map.
        ratio: r; C / r is rounded up to a multiple of `heads`.
        position: "relative" (row and column embeddings) or "none".
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        kernel: int = 7,
        ratio: int = 4,
        position: Position = "relative",
    ) -> None:
        if ratio < 1 or heads < 1:
            raise UsageError(f"Expected a ratio and heads of 1 or more, but got {ratio}, {heads}")
        width = heads * ceil(channels / (ratio * heads))
        super().__init__(width, channels, heads, kernel, position)
        self.embed = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, h, w) to the same shape."""
        return x + self.gate * self.mix(self.embed(x))
