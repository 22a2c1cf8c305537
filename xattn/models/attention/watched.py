"""Readers of attention that is noted while it runs: between all tokens, and from a few to all."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from xattn.models.attention.readers import split_heads
from xattn.models.attention.registry import Reader, class_path, reader
from xattn.models.attention.watching import VALUE, dense_weights, weights_of
from xattn.models.attention.weights import FullWeights, PoolingWeights, Weights

ALL_TO_ALL = {
    "timm.models.eva.EvaAttention": ("norm", "proj"),
    "timm.layers.attention.AttentionRope": ("norm", "proj"),
    "timm.models.beit.Attention": ("proj",),
    "timm.models.vision_transformer_relpos.RelPosAttention": ("proj",),
    "timm.models.maxxvit.Attention2d": (),
}
"""Attention between all positions: what its weights made of the values goes into the first of
these submodules that it has."""
FEW_TO_ALL = {
    "timm.layers.attention_pool.AttentionPoolLatent": "kv",
    "timm.models.cait.ClassAttn": "k",
}
"""Pooling by attention, and the submodule whose output has the tokens that are pooled."""


_IN_WINDOWS = ("swin", "swinv2", "maskformer", "donut", "clap")
"""Models of the transformers library whose attention knows windows only."""


class WatchedReader(Reader):
    """Attention between all positions, noted while it runs."""

    watched = ""
    in_blocks = True

    @property
    def heads(self) -> int:
        """Number of heads."""
        layer = self.layer
        found = getattr(layer, "num_heads", None) or getattr(layer, "num_attention_heads", None)
        assert isinstance(found, int)
        return found

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """As noted."""
        return dense_weights(captured)

    def gradients(self, captured: Mapping[str, Tensor], gradient: Tensor) -> Weights:
        """The values were noted too."""
        (mixed,) = split_heads(gradient, 1, self.heads)
        return FullWeights(mixed @ captured[VALUE].transpose(-2, -1))


@reader("timm-relatives")
class TimmRelativesReader(WatchedReader):
    """timm's attention with rotations or biases: EVA, DINOv3, BEiT, relative positions, CoAtNet."""

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """The classes listed."""
        return class_path(module) in ALL_TO_ALL

    @property
    def mixed(self) -> str | None:
        """Before any norm or gate of the mixed values."""
        names = ALL_TO_ALL[class_path(self.layer)]
        return next((name for name in names if hasattr(self.layer, name)), None)


@reader("hugging-face")
class HuggingFaceReader(WatchedReader):
    """Self-attention of the transformers library: ViT, DeiT, BEiT, DINOv2, DINOv3, SigLIP, ..."""

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """What has queries of its own; what is around it, or cuts windows before it, has not."""
        package, _, name = class_path(module).rpartition(".")
        return (
            package.startswith("transformers.models.")
            and name.endswith("Attention")
            and (hasattr(module, "q_proj") or hasattr(module, "query"))
            and package.split(".")[2] not in _IN_WINDOWS
        )

    @property
    def mixed(self) -> str | None:
        """Before the last projection, where this layer has it."""
        return next((name for name in ("o_proj", "out_proj") if hasattr(self.layer, name)), None)


@reader("pooling")
class PoolingReader(Reader):
    """Attention of a few learned queries, or of the class token, to all positions."""

    watched = ""
    pools = True

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """The classes listed."""
        return class_path(module) in FEW_TO_ALL

    @property
    def grid_of(self) -> str:
        """Tokens are what keys are made of."""
        return FEW_TO_ALL[class_path(self.layer)]

    @property
    def heads(self) -> int:
        """Number of heads."""
        found = self.layer.num_heads
        assert isinstance(found, int)
        return found

    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """As noted, of the few queries."""
        return PoolingWeights(weights_of(captured))
