"""Attention followed through all layers, back to the patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from xattn.attribution.methods.attention import AttentionMethod
from xattn.attribution.passes.capture import Captured
from xattn.attribution.registry import MethodCard, Needs, register
from xattn.errors import MethodError
from xattn.models.attention import AttentionLayer, Weights
from xattn.models.interface import Model


@register
@dataclass(frozen=True)
class Rollout(AttentionMethod):
    """Attention rollout: each layer passes on half of what it gets and spreads the other half.

    With a chosen layer, from this one on; with a chosen head, through this head of each layer.
    """

    card = MethodCard(
        name="rollout",
        family="attention",
        source="Abnar and Zuidema 2020, arXiv:2005.00928",
        needs=Needs.ALL_ATTENTION,
        resolution="grid of the tokens",
        cost="the one pass, and each layer's weights",
        by_class=False,
        models="transformers whose layers all attend among the same tokens (ViT, EVA, BEiT)",
    )

    def check(self, model: Model) -> None:
        """Refuse models whose layers do not pass on the same tokens."""
        super().check(model)
        layers = model.attention_layers
        tokens = {(layer.grid, layer.prefix) for layer in layers}
        blocks = layers[:-1] if layers[-1].pools else layers
        if len(blocks) < 2 or len(tokens) > 1 or not all(layer.in_blocks for layer in blocks):
            raise MethodError(
                f"Method 'rollout' makes no sense for {model.architecture}: its attention layers "
                "do not all pass on the same tokens; use attention, or gradcam"
            )

    def layers(self, model: Model) -> tuple[AttentionLayer, ...]:
        """Return all layers, or those from the chosen one on."""
        return model.attention_layers if self.layer is None else super().layers(model)

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, h, w): the fraction of each patch; sums to 1 less what class tokens keep."""
        layers = self.layers(model)
        last = layers[-1]
        weights = {layer: self.weights(layer, captured) for layer in layers}
        fractions = roll_out(start_of(last, captured.logits), layers, weights)
        return fractions[:, last.prefix :].reshape(-1, *last.grid)


def start_of(layer: AttentionLayer, like: Tensor) -> Tensor:
    """Return the fraction of each position in what the logits read of a layer's result.

    Args:
        layer: the last one.
        like: (n, ...), for the number of images, the type and the device.

    Returns:
        (n, positions); each row sums to 1.
    """
    read = like.new_zeros(layer.positions)
    if layer.readout:
        read[list(layer.readout)] = 1
    else:
        read[layer.prefix :] = 1
    return (read / read.sum()).expand(len(like), -1)


def roll_out(
    start: Tensor, layers: Sequence[AttentionLayer], weights: Mapping[AttentionLayer, Weights]
) -> Tensor:
    """Follow these fractions through all layers, the last one first.

    The product of the matrices (A + I) / 2 (eq. 1), A averaged over heads, has one row that is
    read. Multiplied from that row's side it is a vector all the way, and no product of two
    matrices is ever formed.

    Args:
        start: fraction of each position in what is read, (n, positions).
        layers: in order of execution.
        weights: of each layer, for n images.

    Returns:
        (n, positions); each row sums to 1.
    """
    fractions = start
    for layer in reversed(layers):
        if layer.pools:  # what it gives is read, and nothing goes by it
            fractions = weights[layer].received().mean(dim=1)
        else:
            fractions = (fractions + weights[layer].passed_on(fractions)) / 2
    return fractions
