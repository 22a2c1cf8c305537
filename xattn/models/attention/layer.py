"""One attention layer of a model, and the map of what it looks at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from xattn.errors import UsageError
from xattn.models.attention.weights import Weights


@dataclass(frozen=True)
class AttentionLayer:
    """One attention layer of a model, as `Model.attention_layers` lists them.

    Attributes:
        name: path of the module.
        kind: class name of the module.
        heads: number of heads.
        grid: (h, w) of the positions attended to.
        prefix: tokens before the grid's.
        readout: the tokens before the grid that alone carry this layer's result to the logits (a
            class token, of the last layer); empty if every position does.
        in_blocks: whether it is attention of a transformer's block.
        pools: whether a few queries attend that are no positions.
        tokens: path of the module whose output has the positions attended to, "" for this one.
    """

    name: str
    kind: str
    heads: int
    grid: tuple[int, int]
    prefix: int = 0
    readout: tuple[int, ...] = ()
    in_blocks: bool = False
    pools: bool = False
    tokens: str = ""

    @property
    def map_layer(self) -> str:
        """Path of the module on whose grid its maps lie."""
        return self.tokens or self.name

    @property
    def positions(self) -> int:
        """Number of positions attended to, tokens before the grid included."""
        return self.prefix + self.grid[0] * self.grid[1]


def attention_map(
    layer: AttentionLayer,
    weights: Weights,
    *,
    query: tuple[int, int] | None = None,
    by_head: bool = False,
) -> Tensor:
    """Reduce one layer's attention to a map of what it looks at.

    If the result is read at a class token, that token's row of weights; otherwise the attention
    that each position receives, averaged over all that attend; or what one position looks at. The
    sum of a map over its grid is 1, less what went to tokens off the grid and to padding.

    Args:
        layer: the layer's description.
        weights: its weights for n images.
        query: (row, column) on the layer's grid, for the map of what this position looks at.
        by_head: one map a head instead of their mean.

    Returns:
        (n, h, w), or (n, heads, h, w) by head; values in [0, 1].

    Raises:
        UsageError: `query` is off the grid.
    """
    if query is not None:
        given = weights.rows([_position(layer, query)]).mean(dim=2)
    elif layer.readout:
        given = weights.rows(layer.readout).mean(dim=2)
    else:
        given = weights.received()
    maps = given[..., layer.prefix :].reshape(*given.shape[:2], *layer.grid)
    return maps if by_head else maps.mean(dim=1)


def _position(layer: AttentionLayer, query: tuple[int, int]) -> int:
    (row, column), (h, w) = query, layer.grid
    if not (0 <= row < h and 0 <= column < w):
        raise UsageError(
            f"Expected a query on the {h} x {w} grid of {layer.name!r}, but got ({row}, {column})"
        )
    return layer.prefix + row * w + column
