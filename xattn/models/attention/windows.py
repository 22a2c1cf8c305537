"""Readers of attention within windows that is noted while it runs.

Where the windows lie the block around it knows; what goes on inside one is noted.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xattn.models.attention.registry import Reader, class_path, reader
from xattn.models.attention.swin import Windows, pair
from xattn.models.attention.watching import weights_of
from xattn.models.attention.weights import Weights


class WindowReader(Reader):
    """Attention within windows; a subclass says where they lie."""

    needs_input = True

    @abstractmethod
    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """Return where the windows of a map lie, given the layer's input under ""."""

    @property
    def heads(self) -> int:
        """Number of heads."""
        layer = self.layer.get_submodule(self.watched or "")
        found = getattr(layer, "num_heads", None) or getattr(layer, "num_attention_heads", None)
        assert isinstance(found, int)
        return found

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Put what was noted of each window in the grid's order."""
        windows, within = self.windows(captured), weights_of(captured)
        return windows.in_order(within.reshape(-1, len(windows.places), *within.shape[1:]))


@reader("timm-swin-v2")
class TimmSwinV2Reader(WindowReader):
    """timm's Swin of version 2, which compares by cosine."""

    watched = "attn"

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Its block: the attention knows windows only."""
        return class_path(module) in (
            "timm.models.swin_transformer_v2.SwinTransformerV2Block",
            "timm.models.swin_transformer_v2_cr.SwinTransformerV2CrBlock",
        )

    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """As in version 1: rolled, then padded."""
        _, h, w, _ = captured[""].shape
        size, shift = pair(self.layer.window_size), pair(self.layer.shift_size)
        return Windows.cut((h, w), size, shift, roll_first=True)


@reader("torchvision-swin-v2")
class TorchvisionSwinV2Reader(WindowReader):
    """torchvision's Swin of version 2."""

    watched = ""

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Its attention, which cuts the windows itself."""
        return class_path(module) == "torchvision.models.swin_transformer.ShiftedWindowAttentionV2"

    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """As in version 1: padded, then rolled, but where a window holds the whole map."""
        h, w = captured[""].shape[1:3]
        size = pair(self.layer.window_size)
        across = zip(pair(self.layer.shift_size), size, (h, w), strict=True)
        shift = pair([by if side < whole else 0 for by, side, whole in across])
        return Windows.cut((h, w), size, shift, roll_first=False)


@reader("hugging-face-swin")
class HuggingFaceSwinReader(WindowReader):
    """Swin of both versions in the transformers library."""

    watched = "attention"

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Its layer: the attention knows windows only."""
        return class_path(module) in (
            "transformers.models.swin.modeling_swin.SwinLayer",
            "transformers.models.swinv2.modeling_swinv2.Swinv2Layer",
        )

    @property
    def heads(self) -> int:
        """Number of heads."""
        attention: nn.Module = self.layer.attention  # type: ignore[assignment]
        kinds = (getattr(part, "num_attention_heads", None) for part in attention.modules())
        return next(heads for heads in kinds if isinstance(heads, int))

    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """Padded, then rolled; the layer is told its grid."""
        h, w = (int(side) for side in captured["grid"])
        side, by = int(self.layer.window_size), int(self.layer.shift_size)  # type: ignore[arg-type]
        return Windows.cut((h, w), (side, side), (by, by), roll_first=False)


@reader("maxvit")
class MaxVitReader(WindowReader):
    """MaxViT's blocks (windows) and grids (every so manieth position), in timm."""

    watched = "attn"

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """The part that cuts and attends."""
        return class_path(module) in (
            "timm.models.maxxvit.PartitionAttentionCl",
            "timm.models.maxxvit.PartitionAttention2d",
        )

    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """Neighbours, or what lies a fixed step apart."""
        shape = captured[""].shape
        last = class_path(self.layer).endswith("Cl")
        h, w = (shape[1], shape[2]) if last else (shape[2], shape[3])
        side = pair(self.layer.partition_size)
        if self.layer.partition_block:
            return Windows.cut((h, w), side, (0, 0), roll_first=True)
        return strided((h, w), (h // side[0], w // side[1]))


@reader("mobilevit")
class MobileVitReader(WindowReader):
    """The last transformer of a MobileViT block, whose tokens lie a patch apart, in timm."""

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Version 1: the second one's attention has no weights of pairs."""
        return class_path(module) == "timm.models.mobilevit.MobileVitBlock"

    @property
    def watched(self) -> str:  # type: ignore[override]
        """Of its transformers the last."""
        return f"transformer.{len(self.layer.transformer) - 1}.attn"  # type: ignore[arg-type]

    def fits(self, grid: tuple[int, int]) -> bool:
        """A grid that is no multiple of the patch is resized before it attends."""
        return all(side % by == 0 for side, by in zip(grid, self.layer.patch_size, strict=True))  # type: ignore[arg-type]

    def windows(self, captured: Mapping[str, Tensor]) -> Windows:
        """One window for each place within a patch."""
        h, w = captured[""].shape[2:]
        return strided((h, w), pair(self.layer.patch_size))


def strided(grid: tuple[int, int], step: tuple[int, int]) -> Windows:
    """Return the windows of positions that lie a step apart, one for each of the first `step`.

    Args:
        grid: (h, w), multiples of the step.
        step: (down, across).
    """
    (h, w), (a, b) = grid, step
    places = torch.arange(h * w).view(h // a, a, w // b, b).permute(1, 3, 0, 2).reshape(a * b, -1)
    area = places.shape[1]
    return Windows(h * w, places, torch.zeros(a * b, area, area, dtype=torch.bool))
