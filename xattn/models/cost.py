"""What an architecture costs: parameters, and multiply-adds of one forward pass."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from xattn.models.architectures.local_attention import WindowedHeads
from xattn.models.architectures.registry import build
from xattn.models.attention import is_attention
from xattn.models.attention.readers import neighbours


@dataclass(frozen=True)
class Cost:
    """What an architecture costs.

    Attributes:
        parameters: number of learnable numbers.
        multiply_adds: of convolutions, matrix products and attention, for one image.
        size: (height, width) of that image.
        attends: whether it has attention that can be read.
    """

    parameters: int
    multiply_adds: int
    size: tuple[int, int]
    attends: bool


def cost_of(
    architecture: str, n_classes: int = 2, size: tuple[int, int] = (224, 224), **options: Any
) -> Cost:
    """Count an architecture's parameters and multiply-adds, without weights or numbers.

    Args:
        architecture: as `build` takes it.
        n_classes: number of outputs.
        size: (height, width) of the image.
        options: of the architecture.

    Raises:
        UsageError: as `build`.
    """
    with torch.device("meta"):
        module = build(architecture, n_classes, **options).eval()
        x = torch.empty(1, 3, *size)
    counter = FlopCounterMode(display=False)
    local: list[int] = []

    def note(block: WindowedHeads, _inputs: Any, output: Tensor) -> None:
        local.append(_sums_over_windows(block, *output.shape[2:]))

    with ExitStack() as stack:
        for part in module.modules():
            if isinstance(part, WindowedHeads):
                stack.callback(part.register_forward_hook(note).remove)
        stack.enter_context(torch.no_grad())
        stack.enter_context(counter)
        module(x)
    return Cost(
        parameters=count_parameters(module),
        multiply_adds=counter.get_total_flops() // 2 + sum(local),
        size=size,
        attends=any(is_attention(part) for part in module.modules()),
    )


def count_parameters(module: nn.Module) -> int:
    """Count the learnable numbers."""
    return sum(parameter.numel() for parameter in module.parameters())


def _sums_over_windows(block: WindowedHeads, h: int, w: int) -> int:
    """Multiply-adds of a block's attention, which torch's counter takes for elementwise: q by k
    and weight by v for every pair of neighbours on the map.
    """
    pairs = int((neighbours(h, w, block.kernel) < h * w).sum())
    return 2 * pairs * block.query.out_channels
