"""Readers of this project's blocks, and of attention between all tokens in timm and torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.architectures.local_attention import WindowedHeads
from xattn.models.attention.registry import Reader, class_path, reader
from xattn.models.attention.weights import (
    DenseWeights,
    FullWeights,
    SparseWeights,
    Weights,
)


@reader("ga")
class GlobalReader(Reader):
    """This project's GA block."""

    layer: GlobalAttention
    outputs = ("query", "key")

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """GA blocks."""
        return isinstance(module, GlobalAttention)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.layer.heads

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Split the 1x1 convolutions' outputs into heads."""
        q, k = self.layer.split(captured["query"]), self.layer.split(captured["key"])
        bias = self.layer.bias(*captured["query"].shape[2:])
        return DenseWeights(q * q.shape[-1] ** -0.5, k, bias)


@reader("la")
class LocalReader(Reader):
    """This project's LA and ELA blocks."""

    layer: WindowedHeads
    outputs = ("query", "key")

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """LA and ELA blocks."""
        return isinstance(module, WindowedHeads)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.layer.heads

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Write each position's window as a row."""
        by_window = self.layer.attention_weights(captured["query"], captured["key"])
        n, heads, side, _, h, w = by_window.shape
        by_position = by_window.permute(0, 1, 4, 5, 2, 3).reshape(n, heads, h * w, side * side)
        return SparseWeights(by_position, neighbours(h, w, side).to(by_position.device))


def neighbours(h: int, w: int, side: int) -> Tensor:
    """Number the neighbours of each position, (h * w, side * side); h * w where off the map."""
    offsets = torch.arange(side) - side // 2
    y = torch.arange(h)[:, None] + offsets
    x = torch.arange(w)[:, None] + offsets
    numbers = y[:, None, :, None] * w + x[None, :, None, :]
    there = ((y >= 0) & (y < h))[:, None, :, None] & ((x >= 0) & (x < w))[None, :, None, :]
    return numbers.where(there, h * w).reshape(h * w, side * side)


@reader("timm")
class TimmReader(Reader):
    """timm's `Attention`, as in its ViT and DeiT: queries and keys leave through their norms."""

    outputs = ("q_norm", "k_norm")
    in_blocks = True
    values = ("qkv",)
    matrix = "attn_drop"

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Exactly this class: its relatives add rotations or biases after the norms."""
        # timm is only there to be recognised if the model's own code has imported it.
        return class_path(module) in (
            "timm.layers.attention.Attention",
            "timm.models.vision_transformer.Attention",
        )

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.num_heads)  # type: ignore[arg-type]

    @property
    def mixed(self) -> str:
        """Before any norm or gate of the mixed values, which older versions do not have."""
        return "norm" if hasattr(self.layer, "norm") else "proj"

    @contextmanager
    def unfused(self) -> Iterator[None]:
        """Switch to timm's own slower path, which every version has."""
        layer: Any = self.layer
        before = layer.fused_attn
        layer.fused_attn = False
        try:
            yield
        finally:
            layer.fused_attn = before

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """As they are, or of queries and keys that are already split into heads."""
        if self.matrix in captured:
            return FullWeights(captured[self.matrix])
        scale = float(self.layer.scale)  # type: ignore[arg-type]
        return DenseWeights(captured["q_norm"] * scale, captured["k_norm"])

    def gradients(self, captured: Mapping[str, Tensor], gradient: Tensor) -> Weights:
        """Split values and gradients into heads: (n, heads, positions, positions)."""
        *_, values = split_heads(captured["qkv"], 3, self.heads)
        (mixed,) = split_heads(gradient, 1, self.heads)
        return FullWeights(mixed @ values.transpose(-2, -1))


@reader("torch")
class TorchReader(Reader):
    """`torch.nn.MultiheadAttention` as self-attention, as in torchvision's ViT.

    It projects inside one fused call, so the projection is repeated from the layer's input.
    """

    layer: nn.MultiheadAttention
    needs_input = True
    in_blocks = True

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Layers with one width for queries, keys and values, batch first, no added keys."""
        return (
            isinstance(module, nn.MultiheadAttention)
            and module.in_proj_weight is not None
            and module.batch_first
            and module.bias_k is None
            and not module.add_zero_attn
        )

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.num_heads)

    @property
    def mixed(self) -> str:
        """The last projection is a function here: its output is the layer's."""
        return ""

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Project the input once more."""
        q, k, _ = self._projected(captured[""])
        return DenseWeights(q * q.shape[-1] ** -0.5, k)

    def gradients(self, captured: Mapping[str, Tensor], gradient: Tensor) -> Weights:
        """Take the gradient back through the last projection, which is no module that runs."""
        *_, values = self._projected(captured[""])
        (mixed,) = split_heads(gradient @ self.layer.out_proj.weight, 1, self.heads)
        return FullWeights(mixed @ values.transpose(-2, -1))

    def _projected(self, x: Tensor) -> tuple[Tensor, ...]:
        return split_heads(
            F.linear(x, self.layer.in_proj_weight, self.layer.in_proj_bias), 3, self.heads
        )


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split (n, positions, parts * width) into parts of (n, heads, positions, d)."""
    n, positions, _ = x.shape
    return x.reshape(n, positions, parts, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
