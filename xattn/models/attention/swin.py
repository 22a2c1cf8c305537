"""Readers of Swin's windows (Liu et al. 2021), in timm's form and in torchvision's.

Both cut the map into windows, of which every other layer's are shifted: the map is rolled, and a
mask keeps what was not neighbours before apart. Maps that are no multiple of the window are padded,
and the padding is attended to: what goes there is off the grid. timm rolls before it pads,
torchvision after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xattn.models.attention.registry import Reader, class_path, reader
from xattn.models.attention.weights import SparseWeights, Weights

APART = -100.0
"""What both libraries add to the logits of positions that the roll brought together."""


@dataclass(frozen=True)
class Windows:
    """How a map is cut.

    Attributes:
        positions: h * w of the grid.
        places: which position of the grid each place of each window is, (windows, area);
            `positions` for padding.
        apart: which places of a window were not neighbours before the roll, (windows, area, area).
    """

    positions: int
    places: Tensor
    apart: Tensor

    @classmethod
    def cut(
        cls,
        grid: tuple[int, int],
        window: tuple[int, int],
        shift: tuple[int, int],
        *,
        roll_first: bool,
    ) -> Windows:
        """Follow the numbers of the positions through rolling, padding and cutting."""
        (h, w), back = grid, (-shift[0], -shift[1])
        padding = (0, -w % window[1], 0, -h % window[0])
        numbers = torch.arange(h * w).view(h, w)
        if roll_first:
            numbers = numbers.roll(back, (0, 1))
        numbers = F.pad(numbers, padding, value=h * w)
        if not roll_first:
            numbers = numbers.roll(back, (0, 1))
        rows, columns = (
            _bands(size, side, by)
            for size, side, by in zip(numbers.shape, window, shift, strict=True)
        )
        bands = _cut(3 * rows[:, None] + columns, window)
        return cls(h * w, _cut(numbers, window), bands[:, :, None] != bands[:, None, :])

    def weights(self, q: Tensor, k: Tensor, bias: Tensor) -> SparseWeights:
        """Build the weights within windows and put them in the grid's order.

        Args:
            q, k: scaled queries and keys of all windows of all images, (n * windows, heads, area,
                d).
            bias: (heads, area, area).
        """
        places, apart = self.places.to(q.device), self.apart.to(q.device)
        logits = q @ k.transpose(-2, -1) + bias
        logits = logits.reshape(-1, len(places), *logits.shape[1:])
        return self.in_order((logits + APART * apart[:, None]).softmax(dim=-1))

    def in_order(self, within: Tensor) -> SparseWeights:
        """Put numbers for the pairs of places of each window in the grid's order.

        Args:
            within: (n, windows, heads, area, area).
        """
        places = self.places.to(within.device)
        by_place = within.transpose(1, 2).flatten(2, 3)  # (n, heads, windows * area, area)
        order = places.flatten().argsort()[: self.positions]  # padding comes last
        seen = places.repeat_interleave(places.shape[1], dim=0)
        return SparseWeights(by_place[:, :, order], seen[order])


@reader("timm-swin")
class TimmSwinReader(Reader):
    """timm's block: its attention knows windows only, where they lie the block knows."""

    outputs = ("norm1", "attn.qkv")

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Exactly this class: version 2 compares by cosine."""
        return class_path(module) == "timm.models.swin_transformer.SwinTransformerBlock"

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.attn.num_heads)  # type: ignore[union-attr, arg-type]

    @property
    def mixed(self) -> str:
        """Nothing comes between the values and the last projection."""
        return "attn.proj"

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Split the projection of the windows, and put them back."""
        attention: nn.Module = self.layer.attn  # type: ignore[assignment]
        q, k, _ = _in_heads(captured["attn.qkv"], 3, self.heads)
        scaled = q * float(attention.scale)  # type: ignore[arg-type]
        return self._windows(captured).weights(scaled, k, _bias(attention))

    def gradients(self, captured: Mapping[str, Tensor], gradient: Tensor) -> Weights:
        """Differentiate within windows, and put them back as the weights are."""
        *_, values = _in_heads(captured["attn.qkv"], 3, self.heads)
        (mixed,) = _in_heads(gradient, 1, self.heads)
        windows = self._windows(captured)
        within = mixed @ values.transpose(-2, -1)
        return windows.in_order(within.reshape(-1, len(windows.places), *within.shape[1:]))

    def _windows(self, captured: Mapping[str, Tensor]) -> Windows:
        _, h, w, _ = captured["norm1"].shape
        return Windows.cut(
            (h, w), pair(self.layer.window_size), pair(self.layer.shift_size), roll_first=True
        )


@reader("torchvision-swin")
class TorchvisionSwinReader(Reader):
    """torchvision's attention: it cuts and projects inside one function, which is repeated."""

    needs_input = True

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Exactly this class: version 2 compares by cosine."""
        return class_path(module) == "torchvision.models.swin_transformer.ShiftedWindowAttention"

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.num_heads)  # type: ignore[arg-type]

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Cut the input, project it once more, and put the windows back."""
        x = captured[""]
        h, w, width = x.shape[1:]
        window = pair(self.layer.window_size)
        # A window over the whole map is not shifted.
        shift = tuple(
            by if side < size else 0
            for by, side, size in zip(pair(self.layer.shift_size), window, (h, w), strict=True)
        )
        windows = Windows.cut((h, w), window, pair(shift), roll_first=False)
        padded = F.pad(x.flatten(1, 2), (0, 0, 0, 1))  # padding is zeros, before the projection
        inputs = padded[:, windows.places.to(x.device)].flatten(0, 1)
        q, k, _ = _in_heads(self.layer.qkv(inputs), 3, self.heads)  # type: ignore[operator]
        return windows.weights(q * (width // self.heads) ** -0.5, k, _bias(self.layer))


def _in_heads(projected: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split (windows, area, parts * width) into parts of (windows, heads, area, d)."""
    windows, area, _ = projected.shape
    return projected.reshape(windows, area, parts, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


def _bias(attention: nn.Module) -> Tensor:
    """Look up the relative position bias, (heads, area, area), which both libraries name alike."""
    table: Tensor = attention.relative_position_bias_table  # type: ignore[assignment]
    index: Tensor = attention.relative_position_index  # type: ignore[assignment]
    area = round(index.numel() ** 0.5)
    return table[index.reshape(area, area)].permute(2, 0, 1)


def _bands(size: int, side: int, by: int) -> Tensor:
    """Mark what the roll keeps together: all but the last window, its part, what came round."""
    band = torch.zeros(size, dtype=torch.long)
    band[-side:] = 1
    band[-by:] = 2  # by = 0 is everything: then nothing is apart
    return band


def _cut(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Cut (H, W) into (windows, area), windows and places row by row."""
    a, b = window
    tiles = x.reshape(x.shape[0] // a, a, x.shape[1] // b, b).transpose(1, 2)
    return tiles.reshape(-1, a * b)


def pair(values: Any) -> tuple[int, int]:
    """Return two whole numbers of whatever holds them."""
    first, second = values
    return int(first), int(second)
