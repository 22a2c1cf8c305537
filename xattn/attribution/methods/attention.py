"""What the model's own attention layers look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from xattn.attribution.passes.capture import Captured
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.errors import MethodError, UsageError, near
from xattn.models.attention import AttentionLayer, Weights, attention_map
from xattn.models.interface import Model

ALL = "all"
"""Stands for one map of each layer or head."""


@dataclass(frozen=True)
class AttentionMethod(Method):
    """A method on attention layers, of which one, and one head, can be chosen.

    Attributes:
        layer: path or index of the chosen layer, "all" for one map of each, None for the method's
            own choice. An index is kept as text.
        head: index of the chosen head, "all" for one map of each, None for the mean of all.
    """

    layer: str | int | None = None
    head: int | Literal["all"] | None = None

    def __post_init__(self) -> None:
        """Keep an index as text, so that one choice has one name."""
        if isinstance(self.layer, int):
            object.__setattr__(self, "layer", str(self.layer))

    @property
    def needs(self) -> Needs:
        """The weights of all layers, once one of them or a head is chosen."""
        return Needs.ALL_ATTENTION if self.options else self.card.needs

    def expand(self, model: Model) -> tuple[Method, ...]:
        """Write `layer=all` and `head=all` out; a model without attention layers has none."""
        if ALL not in (self.layer, self.head) or not model.attention_layers:
            return (self,)
        layers = [self.layer]
        if self.layer == ALL:
            layers = [str(i) for i in range(len(model.attention_layers))]
        found: list[Method] = []
        for layer in layers:
            heads = [self.head]
            if self.head == ALL:
                heads = [*range(model.attention_layers[find_layer(model, layer)].heads)]
            found += [replace(self, layer=layer, head=head) for head in heads]
        return tuple(found)

    def check(self, model: Model) -> None:
        """Look the layer and the head up.

        Raises:
            MethodError: the model has no attention layers, or this is one method for each of them.
            UsageError: it has no such layer, or the layer no such head.
        """
        super().check(model)
        if ALL in (self.layer, self.head):
            raise MethodError(
                f"Expected one layer and one head, but got {self.name!r}, which is several maps; "
                "name one"
            )
        for layer in self.layers(model):
            if self.head is not None:
                find_head(layer, self.head)

    def layers(self, model: Model) -> tuple[AttentionLayer, ...]:
        """Return the layers that the map is made of, in order of execution."""
        return model.attention_layers[find_layer(model, self.layer) :]

    def map_layer(self, model: Model) -> str:
        """Return the last of the layers: a rollout's all have its tokens."""
        return self.layers(model)[-1].map_layer

    def weights(self, layer: AttentionLayer, captured: Captured) -> Weights:
        """Return a layer's weights, of the chosen head alone if there is one."""
        weights = captured.attention[layer]
        return weights if self.head is None else weights.of_head(find_head(layer, self.head))


def find_layer(model: Model, layer: str | int | None) -> int:
    """Return the index of an attention layer by its path or index; the last one if None.

    Raises:
        UsageError: there is none of this name.
    """
    names = [each.name for each in model.attention_layers]
    if layer is None:
        return len(names) - 1
    wanted = str(layer)
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise UsageError(
        f"Unknown attention layer {wanted!r}{near(wanted, names)}; by index 0 to {len(names) - 1}"
    )


def find_head(layer: AttentionLayer, head: int | str) -> int:
    """Return the index of a head.

    Raises:
        UsageError: the layer has fewer.
    """
    if not (isinstance(head, int) and 0 <= head < layer.heads):
        raise UsageError(
            f"Expected a head from 0 to {layer.heads - 1} of {layer.name!r}, but got {head!r}"
        )
    return head


@register
@dataclass(frozen=True)
class Attention(AttentionMethod):
    """Weights of the last attention layer, averaged over heads; or of a chosen layer or head.

    The class token's row where the logits are read there (ViT). Elsewhere (GA, LA, ELA, Swin) the
    attention that each position receives, averaged over the positions that attend, windows put
    back to where they lie. Independent of the target class.
    """

    card = MethodCard(
        name="attention",
        family="attention",
        source="Vaswani et al. 2017, arXiv:1706.03762; Dosovitskiy et al. 2021, arXiv:2010.11929",
        needs=Needs.ATTENTION,
        resolution="grid of the last attention layer",
        by_class=False,
        models="with attention layers that can be read",
    )

    def layers(self, model: Model) -> tuple[AttentionLayer, ...]:
        """Return the one layer."""
        return super().layers(model)[:1]

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, h, w), values in [0, 1]; sums to 1 less what went to tokens off the grid."""
        (layer,) = self.layers(model)
        return attention_map(layer, self.weights(layer, captured))
