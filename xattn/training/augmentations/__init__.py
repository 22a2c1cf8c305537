"""What a recipe's `augment` can name: changes of a whole batch, on the device where it is.

A new one is a callable, registered in a file of this package or by a plugin:

    AUGMENTATIONS.add("flips", ImageAugmentation(flips=True))
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor

from xattn.registry import Registry

Augmentation = Callable[[Tensor, Generator], Tensor]
"""Takes float images (n, 3, h, w) in [0, 1] and a generator on the CPU, which is the only source of
chance, and returns changed images of the same shape and range."""

AUGMENTATIONS: Registry[Augmentation | None] = Registry(
    "augmentation", package="xattn.training.augmentations", first=("presets",)
)
"""By name; None leaves images as they are."""
