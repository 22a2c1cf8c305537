"""Colour images in grey, as networks of one channel see them."""

from __future__ import annotations

from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, as Pillow and OpenCV convert."""


def in_grey(x: Tensor) -> Tensor:
    """Make images (n, 3, h, w) grey: (n, 1, h, w)."""
    return (x * x.new_tensor(LUMA).reshape(3, 1, 1)).sum(1, keepdim=True)
