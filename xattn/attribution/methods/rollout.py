"""Attention followed through all layers, back to the patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from xattn.attribution.methods.attention import AttentionMethod
from xattn.attribution.passes.capture import Evidence
from xattn.attribution.registry import Card, method
from xattn.errors import MethodError
from xattn.models.attention import AttentionLayer, Weights
from xattn.models.interface import Model


@method
class Rollout(AttentionMethod):
    """Attention rollout: each layer passes on half of what it gets and spreads the other half.

    With a chosen layer, from this one on; with a chosen head, through this head of each layer.
    """

    card = Card(
        name="rollout",
        family="attention",
        source="Abnar and Zuidema 2020, arXiv:2005.00928",
        needs=frozenset({"all attention"}),
        resolution="grid of the tokens",
        signed=False,
        cost="the one pass, and each layer's weights",
        by_class=False,
        models="transformers whose layers all attend among the same tokens (ViT, DeiT)",
    )

    @classmethod
    def check(cls, model: Model) -> None:
        """Refuse models whose layers do not hand on the same tokens."""
        super().check(model)
        layers = model.attention_layers
        tokens = {(layer.grid, layer.prefix) for layer in layers}
        if len(layers) < 2 or len(tokens) > 1 or not all(_is_block(layer) for layer in layers):
            raise MethodError(
                f"Method 'rollout' makes no sense for {model.architecture}: its attention layers "
                "do not all hand on the same tokens; use attention, or gradcam"
            )

    @classmethod
    def layers(cls, model: Model) -> tuple[AttentionLayer, ...]:
        """Return all layers, or those from the chosen one on."""
        return model.attention_layers if cls.layer is None else super().layers(model)

    @classmethod
    def maps(cls, model: Model, evidence: Evidence) -> Tensor:
        """Return (n, h, w): the share of each patch; sums to 1 less what class tokens keep."""
        layers = cls.layers(model)
        last = layers[-1]
        heard = {layer: cls.weights(layer, evidence) for layer in layers}
        share = roll_out(start_of(last, evidence.logits), layers, heard)
        return share[:, last.prefix :].reshape(-1, *last.grid)


def _is_block(layer: AttentionLayer) -> bool:
    """Attention of a transformer's block; between a hybrid's lie convolutions."""
    return layer.kind in ("Attention", "MultiheadAttention")


def start_of(layer: AttentionLayer, like: Tensor) -> Tensor:
    """Return the share of each position in what the logits read of a layer's result.

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
    start: Tensor, layers: Sequence[AttentionLayer], heard: Mapping[AttentionLayer, Weights]
) -> Tensor:
    """Follow shares through all layers, the last one first.

    The product of the matrices (A + I) / 2 (eq. 1), A averaged over heads, has one row that is
    read. Multiplied from that row's side it is a vector all the way, and no product of two
    matrices is ever formed.

    Args:
        start: share of each position in what is read, (n, positions).
        layers: in order of execution.
        heard: their weights for n images.

    Returns:
        (n, positions); each row sums to 1.
    """
    share = start
    for layer in reversed(layers):
        weights = heard[layer]
        share = (share + weights.passed_on(share)) / 2
    return share
