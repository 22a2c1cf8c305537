"""What the model's own attention layers look at."""

from __future__ import annotations

from torch import Tensor

from xattn.explain.evidence import Evidence
from xattn.explain.registry import Card, Method, method
from xattn.models.attention import attention_map
from xattn.models.interface import Model


@method
class Attention(Method):
    """Weights of the last attention layer, averaged over heads.

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

    @staticmethod
    def maps(model: Model, evidence: Evidence) -> Tensor:
        """Return (n, h, w), values in [0, 1]; sums to 1 less what went to tokens off the grid."""
        layer = model.attention_layers[-1]
        return attention_map(layer, evidence.heard[layer])
