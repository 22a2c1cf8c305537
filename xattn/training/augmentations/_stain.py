"""How stained tissue differs between laboratories: amounts of stain, and sharpness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Optical density of haematoxylin, eosin and DAB in red, green and blue (Ruifrok and Johnston 2001).
_STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_DARKEST = 1e-6
"""Light below which density is not followed."""


def jitter(colours: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """Change the amounts of the three stains in every pixel (Tellez et al. 2018).

    Density is the natural logarithm of light sent over light that comes through, and a mixture of
    the three stains' (Beer and Lambert).

    Args:
        colours: (n, 3, pixels) in [0, 1].
        factors, offsets: (n, 3): amounts become factor x amount + offset.

    Returns:
        (n, 3, pixels) in [0, 1].
    """
    stains = _STAINS.to(colours)
    density = -colours.clamp_min(_DARKEST).log()
    # Densities are rows times stains; here they are columns: out of colours, scaled, and back.
    matrix = stains.T @ (factors[:, :, None] * torch.linalg.inv(stains.T))
    shift = stains.T @ offsets[:, :, None]
    changed = torch.baddbmm(shift, matrix, density)
    return (-changed).exp().clamp(0, 1)


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own, mirrored at the border.

    Args:
        images: (n, c, h, w).
        sigma: (n,), standard deviations in pixels, [0, 1.5]; cut off after three pixels.

    Returns:
        (n, c, h, w).
    """
    n, c, h, w = images.shape
    reach = min(3, h - 1, w - 1)
    steps = torch.arange(-reach, reach + 1).to(images)
    kernel = (-0.5 * (steps / sigma[:, None].clamp_min(1e-3)) ** 2).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    flat = F.pad(images.reshape(1, n * c, h, w), (reach,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=n * c)
    return F.conv2d(flat, kernel[:, None, None, :], groups=n * c).reshape(n, c, h, w)
