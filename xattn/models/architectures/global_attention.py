"""GA: global self-attention over all positions of a feature map.

The study's block formulas are not public; this is this project's reconstruction from Vaswani et
al. (2017), Wang et al. (2018, non-local networks, embedded Gaussian) and Zhang et al. (2019,
SAGAN, for the gate).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.models.architectures.relative_position import RelativePositionBias


class GlobalAttention(nn.Module):
    """Multi-head scaled dot-product attention between all positions, as a gated residual.

    y = x + gate * out(softmax(q k^T / sqrt(d)) v), with 1x1 convolutions for q, k, v and out and
    d = channels / heads. The gate starts at 0, so a pretrained backbone starts unchanged.

    The weights are never built here. `attention_weights` computes them from the outputs of the
    named submodules `query` and `key`, where their outputs can be captured by a hook.

    Args:
        channels: C of the (n, C, h, w) input and output.
        heads: number of heads; must divide `channels`.
        position: "none", or "relative" for a bias of the logits by the offset of two positions.
            The bias, (heads, h * w, h * w), is built; the weights of each image still are not.
    """

    def __init__(
        self, channels: int, heads: int = 4, position: Literal["none", "relative"] = "none"
    ) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise UsageError(f"Expected heads to divide {channels} channels, but got {heads}")
        if position not in ("none", "relative"):
            raise UsageError(f"Expected position 'none' or 'relative', but got {position!r}")
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.relative = RelativePositionBias(heads) if position == "relative" else None
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, h, w) to the same shape."""
        q, k, v = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        bias = self.bias(*x.shape[2:])
        mixed = F.scaled_dot_product_attention(q, k, v, None if bias is None else bias.to(q.dtype))
        mixed = mixed.transpose(-2, -1).reshape(x.shape)
        attended: Tensor = self.out(mixed)
        return x + self.gate * attended

    def split(self, x: Tensor) -> Tensor:
        """Rearrange (n, C, h, w) to (n, heads, h * w, C / heads)."""
        n, channels, h, w = x.shape
        return x.reshape(n, self.heads, channels // self.heads, h * w).transpose(-2, -1)

    def bias(self, h: int, w: int) -> Tensor | None:
        """Return what position adds to the logits, (heads, h * w, h * w); None for nothing."""
        bias: Tensor | None = None if self.relative is None else self.relative(h, w)
        return bias

    def attention_weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Compute the weights the block used, from its `query` and `key` outputs (n, C, h, w).

        Returns:
            (n, heads, h * w, h * w); row i is what position i attends to and sums to 1.
        """
        q, k = self.split(query), self.split(key)
        scores: Tensor = q @ k.transpose(-2, -1) * float(q.shape[-1]) ** -0.5
        bias = self.bias(*query.shape[2:])
        return (scores if bias is None else scores + bias).softmax(dim=-1)
