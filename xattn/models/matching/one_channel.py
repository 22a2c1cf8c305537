"""Networks of one channel, made to see colour images in grey."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import torch
from torch import Tensor, nn

from xattn.models.probing.forward import evaluating, model_dtype
from xattn.models.probing.grey import LUMA

NOTE = (
    "takes one channel: its first layer was widened so that it sees images in grey "
    "(0.299 R + 0.587 G + 0.114 B)"
)


def widened(weight: Tensor) -> Tensor:
    """Widen filters (out, 1, h, w) to (out, 3, h, w); exact but for rounding of grey values."""
    return weight * torch.tensor(LUMA, dtype=weight.dtype).reshape(1, 3, 1, 1)


def widen_state(state: MutableMapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Widen a first layer of one channel in a state dict, in place.

    Returns:
        Whether there was one.
    """
    for key, want in expected.items():
        have = state.get(key)
        if have is None or have.shape == want.shape or have.ndim != 4:
            continue
        if want.shape[1] == 3 and have.shape == (want.shape[0], 1, *want.shape[2:]):
            state[key] = widened(have)
            return True
    return False


@torch.no_grad()
def widen_module(module: nn.Module, size: tuple[int, int]) -> bool:
    """Widen the first layer of a module that takes one channel and not three, in place.

    Returns:
        Whether it did.
    """
    if not takes_one(module, size):
        return False
    first = next(part for part in module.modules() if isinstance(part, nn.Conv2d))
    first.weight = nn.Parameter(widened(first.weight))
    first.in_channels = 3
    return True


@torch.no_grad()
def takes_one(module: nn.Module, size: tuple[int, int]) -> bool:
    """Whether a module takes images of one channel and not of three."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if first is None or first.in_channels != 1:
        return False
    dtype, device = model_dtype(module)
    if runs(module, torch.zeros(1, 3, *size, dtype=dtype, device=device)):
        return False  # it makes one channel of three itself
    return runs(module, torch.zeros(1, 1, *size, dtype=dtype, device=device))


def same_for_all(values: tuple[float, ...]) -> tuple[float, ...]:
    """Give all channels their mean, as timm does for networks of one channel."""
    return (sum(values) / len(values),) * len(values)


def runs(module: nn.Module, x: Tensor) -> bool:
    """Whether a module takes an input, in evaluation mode."""
    try:
        with evaluating(module):
            module(x)
    except Exception:  # whatever a foreign forward may raise
        return False
    return True
