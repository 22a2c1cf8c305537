"""What a forward pass shows about a model: its feature maps, and which of them decide.

The layer that Grad-CAM explains is found here from the model itself: the last one, in order of
execution, that still has a spatial grid and whose every position moves the logits. A list of
names cannot know that; for a ViT that reads its class token alone, the last block's output looks
right and gives a map of zeros.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xattn.errors import MethodError, near
from xattn.models.attention import is_attention
from xattn.models.probing.dependence import depend_on
from xattn.models.probing.forward import evaluating, forward_hooked, generator, probe_input

MAX_PREFIX = 16
"""Most tokens (class, distillation, registers) that may stand before the grid's."""
PASSIVE = ("Linear", "Identity", "Dropout", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d")
"""Modules of torch whose output is no place for Grad-CAM: projections, and what only averages."""
_MARK = "_xattn_passive"
_MERGES = 4
"""Times that tokens may be merged two by two."""


@dataclass(frozen=True)
class Layout:
    """How a layer's output is laid out in space.

    Attributes:
        kind: "channels-first" (n, C, h, w), "channels-last" (n, h, w, C), or "tokens"
            (n, prefix + h * w, C).
        grid: (h, w).
        prefix: tokens before the grid's: class, distillation and register tokens.
    """

    kind: Literal["channels-first", "channels-last", "tokens"]
    grid: tuple[int, int]
    prefix: int = 0

    def spatial(self, x: Tensor) -> Tensor:
        """Bring an output or its gradient to (n, C, h, w); tokens off the grid are left out."""
        if self.kind == "channels-first":
            return x
        if self.kind == "channels-last":
            return x.permute(0, 3, 1, 2)
        tokens = x[:, self.prefix :].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], *self.grid)


@dataclass(frozen=True)
class Seen:
    """One layer's output in a probing forward.

    Attributes:
        name: path of the module.
        calls: how often it ran; a layer that runs twice has no one output to explain.
        layout: None if the output has no spatial grid.
        shape: of the output.
        reach: fraction of grid positions whose value moves some logit.
        leading: tokens before the grid that move some logit.
        explainable: whether it is a place for Grad-CAM: part of the stream of features, not of a
            branch inside an attention layer, nor a linear projection, nor an average.
    """

    name: str
    calls: int
    layout: Layout | None
    shape: tuple[int, ...]
    reach: float
    leading: tuple[int, ...]
    explainable: bool


def probe(
    module: nn.Module,
    size: tuple[int, int],
    read: Callable[[Any], Tensor] | None = None,
    channels: int = 3,
) -> list[Seen]:
    """Run one forward pass and report every layer that gave a tensor, in order of completion.

    The model comes back as it was: flags, gradients, buffers and hooks.

    Args:
        module: a classifier of (n, channels, height, width) images.
        size: (height, width) of the input.
        read: takes the logits (n, ...) out of what the module returns; default: it is them.
        channels: of the input.
    """
    with ExitStack() as stack:
        # The probe differentiates, whatever mode the caller is in.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(evaluating(module))
        x = probe_input(module, size, channels=channels)
        logits, outputs = forward_hooked(module, x)
        moved = depend_on(x, [output for _, output in outputs])
        outputs = [one for one, by_image in zip(outputs, moved, strict=True) if by_image]
        if read is not None:
            logits = read(logits)
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise MethodError(f"Expected logits of shape (n, classes), but the model gives {shape}")
        tensors = [output for _, output in outputs]
        gradients = _sensitivities(logits, tensors)
    grids = _convolution_grids(tensors, size)
    calls = Counter(name for name, _ in outputs)
    inside = _inside_attention(module)
    return [
        _describe(name, calls[name], tensor, gradient, size, grids, _is_place(module, name, inside))
        for (name, tensor), gradient in zip(outputs, gradients, strict=True)
    ]


def _sensitivities(logits: Tensor, tensors: list[Tensor]) -> list[Tensor | None]:
    """Differentiate a random mixture of the logits by each tensor; None where nothing connects."""
    recorded = [t for t in tensors if t.requires_grad]
    if not recorded or not logits.requires_grad:
        return [None] * len(tensors)
    direction = torch.randn(logits.shape, generator=generator()).to(logits)
    found = iter(torch.autograd.grad((logits * direction).sum(), recorded, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in tensors]


def find_target_layer(seen: list[Seen]) -> Seen:
    """Return the last layer with a grid whose every position moves the logits.

    Raises:
        MethodError: there is none.
    """
    for layer in reversed(seen):
        if layer.explainable and layer.calls == 1 and layer.layout and layer.reach > 0.5:
            return layer
    if any(layer.layout for layer in seen) and all(layer.reach == 0 for layer in seen):
        raise MethodError(
            "Expected logits that depend on the image, but no layer moves them; is this an "
            "untrained model whose head is still zero, or does its forward run under no_grad?"
        )
    raise MethodError(
        "Expected a layer with a spatial grid, but the probing forward found none"
        "; name one with --target-layer"
    )


def check_target_layer(seen: list[Seen], name: str) -> Seen:
    """Return the layer called `name`, if a map can be made from it.

    Raises:
        MethodError: it does not exist, has no grid, or its positions cannot move the logits.
    """
    by_name = {layer.name: layer for layer in seen}
    if name not in by_name:
        raise MethodError(
            f"Expected a layer that runs and gives one tensor, but {name!r} is none"
            f"{near(name, by_name)}"
        )
    layer = by_name[name]
    if layer.calls > 1:
        raise MethodError(f"Expected {name!r} to run once, but it runs {layer.calls} times")
    if layer.layout is None:
        raise MethodError(
            f"Expected a spatial grid at {name!r}, but its output is {layer.shape}"
            f"; {find_target_layer(seen).name!r} has one"
        )
    if layer.reach == 0:
        raise MethodError(
            f"The map at {name!r} would be zero: no position there moves the logits, the model "
            f"reads other tokens; use {find_target_layer(seen).name!r}"
        )
    return layer


def mark_passive(part: nn.Module) -> None:
    """Mark a module that a program was opened into as passive, which its class does not tell."""
    setattr(part, _MARK, True)


def _is_place(module: nn.Module, name: str, inside_attention: set[str]) -> bool:
    part = module.get_submodule(name)
    passive = isinstance(part, tuple(getattr(nn, kind) for kind in PASSIVE))
    return name not in inside_attention and not (passive or hasattr(part, _MARK))


def _inside_attention(module: nn.Module) -> set[str]:
    roots = [name for name, part in module.named_modules() if name and is_attention(part)]
    return {
        name for name, _ in module.named_modules() for root in roots if name.startswith(root + ".")
    }


def _convolution_grids(tensors: list[Tensor], size: tuple[int, int]) -> set[tuple[int, int]]:
    """Grids of the feature maps seen: token sequences are recognised by them."""
    layouts = (_image_layout(tuple(t.shape), size) for t in tensors)
    return {layout.grid for layout in layouts if layout}


def _image_layout(shape: tuple[int, ...], size: tuple[int, int]) -> Layout | None:
    """Tell (n, C, h, w) from (n, h, w, C) by which pair of axes has the input's proportions."""
    if len(shape) != 4:
        return None
    first, last = (shape[2], shape[3]), (shape[1], shape[2])
    if first == (1, 1):  # pooled, not a grid of (C, 1) with one channel
        return None
    if _proportional(first, size):
        return Layout("channels-first", first)
    if _proportional(last, size):
        return Layout("channels-last", last)
    return None


def _proportional(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a grid is the input shrunk by one factor in both directions, up to rounding."""
    if grid[0] * grid[1] <= 1 or grid[0] > size[0] or grid[1] > size[1]:
        return False
    low = max(size[0] / (grid[0] + 1), size[1] / (grid[1] + 1))
    high = min(size[0] / max(grid[0] - 1, 0.5), size[1] / max(grid[1] - 1, 0.5))
    return low < high


def _token_layout(shape: tuple[int, ...], grids: set[tuple[int, int]]) -> Layout | None:
    if len(shape) != 3 or shape[2] == 1:  # one number each: channels, pooled
        return None
    fits = [(shape[1] - h * w, (h, w)) for h, w in grids if 0 <= shape[1] - h * w <= MAX_PREFIX]
    # Networks in stages merge tokens two by two without ever laying them out as an image.
    merged = {(-(-h // 2**n), -(-w // 2**n)) for h, w in grids for n in range(1, _MERGES + 1)}
    fits += [(0, (h, w)) for h, w in merged if h * w == shape[1] and min(h, w) > 1]
    if not fits:
        return None
    prefix, grid = min(fits)
    return Layout("tokens", grid, prefix)


def _describe(
    name: str,
    calls: int,
    tensor: Tensor,
    gradient: Tensor | None,
    size: tuple[int, int],
    grids: set[tuple[int, int]],
    is_place: bool,
) -> Seen:
    shape = tuple(tensor.shape)
    layout = None
    if shape[:1] == (1,):  # else windows or heads stand where the images should: not one grid
        layout = _image_layout(shape, size) or _token_layout(shape, grids)
    reach = 0.0
    leading: tuple[int, ...] = ()
    if layout is not None and gradient is not None:
        moves = layout.spatial(gradient).abs().sum(1) > 0
        reach = float(moves.float().mean())
        if layout.prefix:
            rows = gradient[0, : layout.prefix].abs().sum(-1) > 0
            leading = tuple(int(i) for i in rows.nonzero().flatten())
    return Seen(name, calls, layout, shape, reach, leading, is_place)
