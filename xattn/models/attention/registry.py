"""How to read one kind of attention layer.

A new kind is one subclass of `Reader` with a decorator, in a file of this package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from torch import Tensor, nn

from xattn.models.attention.weights import Weights
from xattn.registry import Registry


class Reader(ABC):
    """How to get the weights out of one kind of attention layer.

    Attributes:
        outputs: submodules whose outputs are needed, by path from the layer.
        needs_input: whether the layer's own input is needed, under the key "".
        values: further submodules whose outputs are needed for `gradients`.
        matrix: submodule whose output is all weights while the layer is `unfused`, "" if none is.
        watched: submodule during whose run it is noted what its attention is made of (`watching`),
            "" for the layer itself; None if nothing need be.
        in_blocks: whether it is attention of a transformer's block, whose tokens are those of the
            block before plus what it gives.
        pools: whether a few queries attend, which are no positions.
    """

    outputs: ClassVar[tuple[str, ...]] = ()
    needs_input: ClassVar[bool] = False
    values: ClassVar[tuple[str, ...]] = ()
    matrix: ClassVar[str] = ""
    watched: ClassVar[str | None] = None
    in_blocks: ClassVar[bool] = False
    pools: ClassVar[bool] = False

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

    @property
    def mixed(self) -> str | None:
        """Submodule whose input is what the weights made of the values, by path from the layer.

        "" if only the layer's own output shows it; None if `gradients` cannot be had.
        """
        return None

    @property
    def grid_of(self) -> str:
        """Submodule whose output has the grid of the positions attended to, "" for the layer's."""
        return ""

    def fits(self, grid: tuple[int, int]) -> bool:
        """Whether its weights can be laid out on a grid of (h, w) positions."""
        return True

    @contextmanager
    def unfused(self) -> Iterator[None]:
        """Let the layer form its weights in the open, so that they need not be formed again."""
        yield

    @abstractmethod
    def weights(self, captured: Mapping[str, Tensor]) -> Weights:
        """Return who looks where, from what was captured during a forward pass."""

    def gradients(self, captured: Mapping[str, Tensor], gradient: Tensor) -> Weights:
        """Return the gradient by each weight, in the form of `weights`.

        The weights A make O = A V of the values V, so dA = dO V^T: no weight is ever built in the
        model, and its attention may stay fused.

        Args:
            captured: during a forward pass, `values` included.
            gradient: what was differentiated, by the input of `mixed` or the layer's own output.
        """
        raise NotImplementedError


READERS: Registry[type[Reader]] = Registry(
    "attention reader",
    package="xattn.models.attention",
    first=("readers", "swin", "watched", "windows"),
)
"""The first that understands a layer reads it."""


def class_path(module: nn.Module) -> str:
    """Return a module's class with its package: nothing need be imported to recognise it."""
    return f"{type(module).__module__}.{type(module).__name__}"


def reader(name: str) -> Callable[[type[Reader]], type[Reader]]:
    """Register a subclass of `Reader`."""
    return READERS.register(name, lambda cls: cls)


def reader_of(module: nn.Module) -> Reader | None:
    """Return the reader that understands a layer, if any does."""
    for cls in READERS.values():
        if cls.reads(module):
            return cls(module)
    return None


def is_attention(module: nn.Module) -> bool:
    """Whether some reader understands the layer."""
    return any(cls.reads(module) for cls in READERS.values())
