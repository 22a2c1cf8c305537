"""What a recipe's `augment` can name: changes of a whole batch, on the device where it is.

A new one is a function in a file of this package or of a plugin:

    @augmentation("inverted")
    def inverted(images, generator):
        '''Bright where it was dark.'''
        return 1 - images
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor

from xattn.registry import Registry, meaning_of

Change = Callable[[Tensor, Generator], Tensor]
"""Takes float images (n, 3, h, w) in [0, 1] and a generator on the CPU, which is the only source of
chance, and returns changed images of the same shape and range."""


@dataclass(frozen=True)
class Augmentation:
    """A named augmentation.

    Attributes:
        name: as in recipes.
        meaning: one line.
        change: of a batch; None leaves images as they are.
    """

    name: str
    meaning: str
    change: Change | None


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "augmentation", package="xattn.training.augmentations", first=("presets",)
)


def augmentation(name: str, *, meaning: str = "") -> Callable[[Change], Change]:
    """Register a change of a batch; see `Augmentation` for the arguments."""
    return AUGMENTATIONS.register(
        name, lambda change: Augmentation(name, meaning_of(change, meaning), change)
    )
