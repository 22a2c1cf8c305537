"""How to read one kind of attention layer. A new kind is one subclass with a decorator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from xattn.models.attention.weights import Weights

READERS: list[type[Reader]] = []


class Reader(ABC):
    """How to get the weights out of one kind of attention layer.

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
    def weights(self, heard: Mapping[str, Tensor]) -> Weights:
        """Return who looks where, from what was heard during a forward pass."""


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
