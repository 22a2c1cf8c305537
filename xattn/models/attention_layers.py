"""Reading a model's own attention: which layers attend, and what to listen to for the weights.

Fused attention never builds the weights, and hooks on a softmax would fire zero times. So the
queries and keys are read where they leave named submodules, during the one forward pass that is
run anyway, and the weights are computed from them; nothing about the model's own path changes.
A new kind of attention layer is one reader: a subclass of `Reader` with a decorator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from xattn.models.global_attention import GlobalAttention

READERS: list[type[Reader]] = []


class Reader(ABC):
    """How to get queries and keys out of one kind of attention layer.

    Attributes:
        outputs: submodules whose outputs are needed, by path from the layer.
        needs_input: whether the layer's own input is needed, under the key "".
    """

    outputs: ClassVar[tuple[str, ...]] = ()
    needs_input: ClassVar[bool] = False

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    @staticmethod
    @abstractmethod
    def reads(module: nn.Module) -> bool:
        """Whether this reader understands `module`."""

    @property
    @abstractmethod
    def heads(self) -> int:
        """Number of heads."""

    @abstractmethod
    def queries_keys(self, heard: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return queries, already scaled, and keys: each (n, heads, positions, d)."""


def reader(cls: type[Reader]) -> type[Reader]:
    """Register a reader."""
    READERS.append(cls)
    return cls


def reader_of(module: nn.Module) -> Reader | None:
    """Return the reader that understands a layer, if any does."""
    for cls in READERS:
        if cls.reads(module):
            return cls(module)
    return None


def is_attention(module: nn.Module) -> bool:
    """Whether some reader understands the layer."""
    return any(cls.reads(module) for cls in READERS)


@reader
class GlobalReader(Reader):
    """This project's GA block."""

    outputs = ("query", "key")

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """GA blocks."""
        return isinstance(module, GlobalAttention)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.heads)  # type: ignore[arg-type]

    def queries_keys(self, heard: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Split the 1x1 convolutions' outputs into heads."""
        split: Callable[[Tensor], Tensor] = self.layer.split  # type: ignore[assignment]
        q, k = split(heard["query"]), split(heard["key"])
        return q * q.shape[-1] ** -0.5, k


@reader
class TimmReader(Reader):
    """timm's `Attention`, as in its ViT and DeiT: queries and keys leave through their norms."""

    outputs = ("q_norm", "k_norm")

    @staticmethod
    def reads(module: nn.Module) -> bool:
        """Exactly this class: its relatives add rotations or biases after the norms."""
        # timm is only there to be recognised if the model's own code has imported it.
        return f"{type(module).__module__}.{type(module).__name__}" in (
            "timm.layers.attention.Attention",
            "timm.models.vision_transformer.Attention",
        )

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.layer.num_heads)  # type: ignore[arg-type]

    def queries_keys(self, heard: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Already split into heads."""
        return heard["q_norm"] * float(self.layer.scale), heard["k_norm"]  # type: ignore[arg-type]


@reader
class TorchReader(Reader):
    """`torch.nn.MultiheadAttention` as self-attention, as in torchvision's ViT.

    It projects inside one fused call, so the projection is repeated from the layer's input.
    """

    needs_input = True

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
        return int(self.layer.num_heads)  # type: ignore[arg-type]

    def queries_keys(self, heard: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Project the input once more."""
        x = heard[""]
        weight: Tensor = self.layer.in_proj_weight  # type: ignore[assignment]
        bias: Tensor | None = self.layer.in_proj_bias  # type: ignore[assignment]
        width = x.shape[-1]
        both = F.linear(x, weight[: 2 * width], None if bias is None else bias[: 2 * width])
        n, positions, _ = x.shape
        q, k = both.reshape(n, positions, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return q * q.shape[-1] ** -0.5, k


@dataclass(frozen=True)
class AttentionLayer:
    """One attention layer of a model, as `Model.attention_layers` lists them.

    Attributes:
        name: path of the module.
        kind: class name of the module.
        heads: number of heads.
        grid: (h, w) of the positions attended to.
        prefix: tokens before the grid's.
        readout: the tokens before the grid that alone carry this layer's result to the logits (a
            class token, of the last layer); empty if every position does.
    """

    name: str
    kind: str
    heads: int
    grid: tuple[int, int]
    prefix: int = 0
    readout: tuple[int, ...] = ()


def attention_map(layer: AttentionLayer, queries: Tensor, keys: Tensor) -> Tensor:
    """Reduce one layer's attention to a map of what it looks at.

    If the result is read at a class token, that token's row of weights; otherwise the attention
    that each position receives, averaged over all that attend. Averaged over heads. The sum of a
    map over its grid is 1, less what went to tokens off the grid.

    Args:
        layer: the layer's description.
        queries, keys: scaled queries and keys, (n, heads, positions, d).

    Returns:
        (n, h, w), values in [0, 1].
    """
    if layer.readout:
        queries = queries[:, :, list(layer.readout)]
    weights = (queries @ keys.transpose(-2, -1)).softmax(dim=-1)
    received: Tensor = weights.mean(dim=(1, 2))[:, layer.prefix :]
    return received.reshape(-1, *layer.grid)
