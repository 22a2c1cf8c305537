"""The control of the hybrids: the same insertion and as many parameters, but no attention.

If a hybrid gains over its plain network, this tells attention from mere extra capacity.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn


class ConvolutionalControl(nn.Module):
    """A bottleneck of convolutions as a gated residual: y = x + gate * out(mix(embed(x))).

    1x1 convolution, 3x3 convolution, each with batch norm and ReLU, and 1x1 convolution (He et al.
    2016). The gate starts at 0, as those of the attention blocks do.

    Args:
        channels: C of the (n, C, h, w) input and output.
        width: channels of the bottleneck.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.embed = _convolution(channels, width, 1)
        self.mix = _convolution(width, width, 3)
        self.out = nn.Conv2d(width, channels, 1)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, h, w) to the same shape."""
        attended: Tensor = self.out(self.mix(self.embed(x)))
        return x + self.gate * attended


def matched_width(channels: int, parameters: int) -> int:
    """Solve for the bottleneck whose block has nearest to so many parameters, at least 1.

    A block of width m has 9 m^2 + (2 C + 4) m + C + 1 of them.
    """
    linear = 2 * channels + 4
    rest = max(parameters - channels - 1, 0)
    exact = (sqrt(linear**2 + 36 * rest) - linear) / 18
    return max(round(exact), 1)


def _convolution(channels: int, width: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
