"""Attention followed through all layers, each weight by how it moves the class."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from xattn.attribution.methods.rollout import start_of
from xattn.attribution.passes.capture import Captured, hook_attention
from xattn.attribution.passes.model_state import preserved
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.errors import MethodError
from xattn.models.attention import AttentionLayer, Weights, positive_product, reader_of
from xattn.models.interface import Model


@register
@dataclass(frozen=True)
class GradientRollout(Method):
    """Gradient rollout: weights times their gradients, cut at 0, averaged over heads, summed up.

    Needs a graph of the whole network, where the one pass records its end alone: so it runs the
    model once more. The attention stays fused.
    """

    card = MethodCard(
        name="gradient-rollout",
        family="attention",
        source="Chefer, Gur and Wolf 2021, arXiv:2103.15679",
        needs=Needs.MODEL,
        resolution="grid of the first layer's tokens",
        cost="about 3 forwards",
        models="ViT, DeiT, EVA, BEiT (timm, torchvision, transformers), Swin (timm)",
    )

    def check(self, model: Model) -> None:
        """Refuse models whose layers do not pass on the same tokens, or quarters of them."""
        layers = model.attention_layers
        if len(layers) < 2 or not all(_has_gradients(model, layer) for layer in layers):
            raise MethodError(
                f"Method 'gradient-rollout' makes no sense for {model.architecture}: it needs "
                "the attention of a ViT or its like, or of timm's Swin; use attention, or gradcam"
            )
        for first, second in pairwise(layers):
            same = (first.grid, first.prefix) == (second.grid, second.prefix)
            merged = _halved(first.grid) == second.grid and first.prefix == second.prefix == 0
            if not (same or merged):
                raise MethodError(
                    f"Method 'gradient-rollout' makes no sense for {model.architecture}: "
                    f"{second.name!r} does not attend among the tokens of {first.name!r}, nor "
                    "among quarters of them; use attention, or gradcam"
                )

    def map_layer(self, model: Model) -> str:
        """Return the first layer, to whose tokens all is followed back."""
        return model.attention_layers[0].name

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """R <- R + E[(dA A)^+] R (eq. 5, 6); the row of R that the logits read, on the grid.

        What this row holds before any attention, the identity, is left out: it lies on the class
        token, or evenly on all patches. Returns (n, h, w), >= 0, in units of the logit.
        """
        assert captured.inputs is not None
        layers = model.attention_layers
        flows = _flows(model, captured.inputs, captured.targets)
        start = start_of(layers[-1], captured.logits)
        row = alone = start
        for i in reversed(range(len(layers))):
            row = row + flows[layers[i]].passed_on(row)
            grids = layers[i].grid, layers[i - 1].grid if i else layers[i].grid
            row, alone = _spread(row, *grids), _spread(alone, *grids)
        gained = (row - alone)[:, layers[0].prefix :].clamp(min=0)
        return gained.reshape(-1, *layers[0].grid)


def _has_gradients(model: Model, layer: AttentionLayer) -> bool:
    reader = reader_of(model.module.get_submodule(layer.name))
    return reader is not None and reader.mixed is not None


def _halved(grid: tuple[int, int]) -> tuple[int, int]:
    return -(-grid[0] // 2), -(-grid[1] // 2)


def _spread(row: Tensor, grid: tuple[int, int], finer: tuple[int, int]) -> Tensor:
    """Split what merged tokens hold evenly among the four, or fewer at the border, they came from.

    Args:
        row: (n, h * w).
        grid: (h, w).
        finer: (H, W), of twice the sides, or as many tokens as before.

    Returns:
        (n, H * W), the sum unchanged.
    """
    if grid == finer:
        return row
    down, across = (torch.arange(side, device=row.device) // 2 for side in finer)
    parts = down.bincount()[:, None] * across.bincount()
    each = row.reshape(-1, *grid) / parts
    return each[:, down][:, :, across].flatten(1)


def _flows(model: Model, inputs: Tensor, targets: Tensor) -> dict[AttentionLayer, Weights]:
    """Return E[(dA A)^+] of each attention layer, for the target logit of each image."""
    layers = model.attention_layers
    mixed: dict[AttentionLayer, Tensor] = {}
    with preserved(model.module), ExitStack() as stack:
        hooked = hook_attention(stack, model, layers, images=len(inputs), values=True)
        for layer, (reader, _) in hooked.items():
            stack.callback(_watch(model, layer, reader.mixed, mixed).remove)
        scores: Tensor = model.network(inputs.detach().clone().requires_grad_(True))
        picked = scores.gather(1, targets.clone()[:, None]).sum()
        found = torch.autograd.grad(picked, [mixed[layer] for layer in layers])
        with torch.no_grad():
            return {
                layer: positive_product(reader.weights(notes), reader.gradients(notes, gradient))
                for (layer, (reader, notes)), gradient in zip(hooked.items(), found, strict=True)
            }


def _watch(
    model: Model, layer: AttentionLayer, path: str | None, mixed: dict[AttentionLayer, Tensor]
) -> RemovableHandle:
    """Keep what a layer's weights made of its values, as it stands in the graph."""
    part = model.module.get_submodule(layer.name)
    if path:
        return part.get_submodule(path).register_forward_pre_hook(
            partial(_note_input, mixed, layer)
        )
    return part.register_forward_hook(partial(_note_output, mixed, layer))


def _note_input(
    mixed: dict[AttentionLayer, Tensor], layer: AttentionLayer, _part: nn.Module, inputs: Any
) -> None:
    mixed[layer] = inputs[0]


def _note_output(
    mixed: dict[AttentionLayer, Tensor],
    layer: AttentionLayer,
    _part: nn.Module,
    _inputs: Any,
    output: Any,
) -> None:
    mixed[layer] = output[0] if isinstance(output, tuple) else output
