"""What the model's own attention layers look at."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from xattn.attribution.options import find_head, find_layer, join_options
from xattn.attribution.passes.capture import Evidence
from xattn.attribution.registry import Card, Method, method
from xattn.models.attention import AttentionLayer, Weights, attention_map
from xattn.models.interface import Model


class AttentionMethod(Method):
    """A method on attention layers, of which one, and one head, can be chosen.

    Attributes:
        layer: path or index of the chosen layer, or None.
        head: index of the chosen head, or None for the mean of all.
    """

    layer: ClassVar[str | None] = None
    head: ClassVar[str | None] = None

    @classmethod
    def with_options(cls, options: tuple[tuple[str, str], ...]) -> type[Method]:
        """Return this method on a chosen layer or head."""
        given = dict(options)
        name = join_options(cls.card.name, given)
        card = replace(cls.card, name=name, needs=frozenset({"all attention"}))
        return type(cls.__name__, (cls,), {**given, "card": card, "__doc__": cls.__doc__})

    @classmethod
    def check(cls, model: Model) -> None:
        """Look the layer and the head up."""
        super().check(model)
        for layer in cls.layers(model):
            if cls.head is not None:
                find_head(layer, cls.head)

    @classmethod
    def layers(cls, model: Model) -> tuple[AttentionLayer, ...]:
        """Return the layers that the map is made of, in order of execution."""
        return model.attention_layers[find_layer(model, cls.layer) :]

    @classmethod
    def map_layer(cls, model: Model) -> str:
        """Return the last of the layers: a rollout's all have its tokens."""
        return cls.layers(model)[-1].name

    @classmethod
    def weights(cls, layer: AttentionLayer, evidence: Evidence) -> Weights:
        """Return a layer's weights, of the chosen head alone if there is one."""
        heard = evidence.heard[layer]
        return heard if cls.head is None else heard.of_head(int(cls.head))


@method
class Attention(AttentionMethod):
    """Weights of the last attention layer, averaged over heads; or of a chosen layer or head.

    The class token's row where the logits are read there (ViT). Elsewhere (GA, LA, ELA, Swin) the
    attention that each position receives, averaged over the positions that attend, windows put
    back to where they lie. Independent of the target class.
    """

    card = Card(
        name="attention",
        family="attention",
        source="Vaswani et al. 2017, arXiv:1706.03762; Dosovitskiy et al. 2021, arXiv:2010.11929",
        needs=frozenset({"attention"}),
        resolution="grid of the last attention layer",
        signed=False,
        cost="the one pass",
        by_class=False,
        models="with attention layers that can be read",
    )

    @classmethod
    def layers(cls, model: Model) -> tuple[AttentionLayer, ...]:
        """Return the one layer."""
        return super().layers(model)[:1]

    @classmethod
    def maps(cls, model: Model, evidence: Evidence) -> Tensor:
        """Return (n, h, w), values in [0, 1]; sums to 1 less what went to tokens off the grid."""
        (layer,) = cls.layers(model)
        return attention_map(layer, cls.weights(layer, evidence))
