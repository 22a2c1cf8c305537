"""Networks that normalise their inputs themselves, so that nobody does it twice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from xattn.models.probing.forward import evaluating, probe_input

Colours = tuple[float, float, float]


def inner_normalisation(module: nn.Module, size: tuple[int, int]) -> tuple[Colours, str] | None:
    """Find a layer that takes the image itself and subtracts a mean.

    Args:
        module: maps (n, 3, height, width); comes back as it was.
        size: (height, width).

    Returns:
        The standard deviation that images of values in [0, 1] must be divided by for it, 1 or, for
        a layer of values in [0, 255], 1 / 255; and the layer's path. None if there is no such
        layer, or the network does not run.
    """
    paths = {part: name for name, part in module.named_modules()}
    known = [part for part in paths if _mean_of(part) is not None]
    if not known:
        return None
    x = probe_input(module, size)
    found: list[nn.Module] = []

    def hook(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor) and torch.equal(inputs[0], x):
            found.append(part)

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(module))
        for part in known:
            stack.callback(part.register_forward_pre_hook(hook).remove)
        try:
            module(x.clone())
        except Exception:  # whatever a foreign forward may raise: probing says it later
            return None
    if not found:
        return None
    scale = scale_of(_mean_of(found[-1]) or (0.0,))
    return (scale, scale, scale), paths[found[-1]] or type(module).__name__


def scale_of(mean: Sequence[float]) -> float:
    """Return what values in [0, 1] are divided by for a mean: 1, or 1 / 255 if it is of bytes."""
    return 1 / 255 if max(map(abs, mean)) > 2 else 1.0


def _mean_of(part: nn.Module) -> tuple[float, ...] | None:
    """Return the mean of a layer that carries one of each channel, and a deviation beside it."""
    mean, std = (_three(getattr(part, name, None)) for name in ("mean", "std"))
    return mean if mean is not None and std is not None and min(std) > 0 else None


def _three(value: Any) -> tuple[float, ...] | None:
    if isinstance(value, Tensor):
        value = value.flatten().tolist() if value.numel() == 3 else None
    if not isinstance(value, Sequence) or len(value) != 3:
        return None
    return tuple(map(float, value)) if all(isinstance(x, int | float) for x in value) else None
