"""Who looks where: the weights of one attention layer for a batch, in the form it has them.

Positions are counted as the layer has them: tokens before the grid first, then the grid row by
row. A layer whose every position attends to all is dense; one with windows is sparse, and no matrix
of all positions by all is built for it unless it is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from xattn.errors import UsageError


class Weights(ABC):
    """Attention weights of n images: each position's are >= 0 and sum to 1 over all it sees."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """Number of positions, tokens before the grid included."""

    @abstractmethod
    def rows(self, queries: Sequence[int]) -> Tensor:
        """Return what chosen positions give to all: (n, heads, len(queries), positions)."""

    @abstractmethod
    def received(self) -> Tensor:
        """Return what each position is given, averaged over all that give: (n, heads, positions).

        Its sum over positions is 1, less what went to padding.
        """

    @abstractmethod
    def of_head(self, head: int) -> Weights:
        """Return the weights of one head alone."""

    def dense(self) -> Tensor:
        """Return everything: (n, heads, positions, positions), [..., i, j] what i gives to j."""
        return self.rows(range(self.positions))

    def passed_on(self, fractions: Tensor) -> Tensor:
        """Hand on what each position holds as the weights say, averaged over heads.

        Args:
            fractions: (n, positions).

        Returns:
            (n, positions): fractions times the matrix of weights.
        """
        # A product per head; einsum would first lay the whole matrix out anew.
        return (fractions[:, None, None, :] @ self.dense()).mean(dim=1)[:, 0]


@dataclass(frozen=True)
class DenseWeights(Weights):
    """softmax(q k^T + bias), built when asked for.

    Attributes:
        queries, keys: (n, heads, positions, d), the queries scaled.
        bias: what the layer adds to the logits, (heads, positions, positions), or None.
    """

    queries: Tensor
    keys: Tensor
    bias: Tensor | None = None

    @property
    def positions(self) -> int:
        """Number of positions."""
        return self.queries.shape[2]

    def rows(self, queries: Sequence[int]) -> Tensor:
        """Return what chosen positions give to all: (n, heads, len(queries), positions)."""
        chosen = list(queries)
        logits = self.queries[:, :, chosen] @ self.keys.transpose(-2, -1)
        if self.bias is not None:
            logits = logits + self.bias[:, chosen]
        return logits.softmax(dim=-1)

    def received(self) -> Tensor:
        """Return what each position is given, averaged over all: (n, heads, positions)."""
        return self.dense().mean(dim=2)

    def of_head(self, head: int) -> DenseWeights:
        """Return the weights of one head alone."""
        bias = None if self.bias is None else self.bias[head, None]
        return DenseWeights(self.queries[:, head, None], self.keys[:, head, None], bias)


@dataclass(frozen=True)
class FullWeights(Weights):
    """Numbers for each pair of positions as they are: gradients by weights, or products of them.

    Attributes:
        weights: (n, heads, positions, positions).
    """

    weights: Tensor

    @property
    def positions(self) -> int:
        """Number of positions."""
        return self.weights.shape[2]

    def rows(self, queries: Sequence[int]) -> Tensor:
        """Return chosen rows: (n, heads, len(queries), positions)."""
        return self.weights[:, :, list(queries)]

    def received(self) -> Tensor:
        """Return the mean of each column: (n, heads, positions)."""
        return self.weights.mean(dim=2)

    def dense(self) -> Tensor:
        """Return them as they are."""
        return self.weights

    def of_head(self, head: int) -> FullWeights:
        """Return the numbers of one head alone."""
        return FullWeights(self.weights[:, head, None])


@dataclass(frozen=True)
class SparseWeights(Weights):
    """Weights for the few positions that each position sees.

    Attributes:
        weights: (n, heads, positions, slots).
        seen: which position each slot is, (positions, slots); `positions` itself for a slot that
            is off the map or padding.
    """

    weights: Tensor
    seen: Tensor

    @property
    def positions(self) -> int:
        """Number of positions."""
        return self.weights.shape[2]

    def rows(self, queries: Sequence[int]) -> Tensor:
        """Return what chosen positions give to all: (n, heads, len(queries), positions)."""
        chosen = list(queries)
        given = self.weights[:, :, chosen]
        rows = given.new_zeros(*given.shape[:3], self.positions + 1)
        return rows.scatter_add_(3, self.seen[chosen].expand_as(given), given)[..., :-1]

    def received(self) -> Tensor:
        """Return what each position is given, averaged over all: (n, heads, positions)."""
        n, heads = self.weights.shape[:2]
        sums = self.weights.new_zeros(n, heads, self.positions + 1)
        sums.index_add_(2, self.seen.flatten(), self.weights.flatten(2))
        return sums[..., :-1] / self.positions

    def of_head(self, head: int) -> SparseWeights:
        """Return the weights of one head alone."""
        return SparseWeights(self.weights[:, head, None], self.seen)

    def passed_on(self, fractions: Tensor) -> Tensor:
        """Hand on what each position holds, averaged over heads: (n, positions)."""
        given = self.weights.mean(dim=1) * fractions[:, :, None]
        sums = given.new_zeros(len(given), self.positions + 1)
        return sums.index_add_(1, self.seen.flatten(), given.flatten(1))[:, :-1]


@dataclass(frozen=True)
class PoolingWeights(Weights):
    """Weights of a few queries that are no positions: learned ones, or a class token's.

    Attributes:
        weights: (n, heads, queries, positions).
    """

    weights: Tensor

    @property
    def positions(self) -> int:
        """Number of positions."""
        return self.weights.shape[3]

    def rows(self, queries: Sequence[int]) -> Tensor:
        """No position gives anything.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "Expected positions that attend, but this layer pools: its queries are no positions"
        )

    def received(self) -> Tensor:
        """Return what each position is given, averaged over the queries."""
        return self.weights.mean(dim=2)

    def of_head(self, head: int) -> PoolingWeights:
        """Return the weights of one head alone."""
        return PoolingWeights(self.weights[:, head, None])


def positive_product(weights: Weights, gradients: Weights) -> Weights:
    """Return E[(dA A)^+], the mean over heads of weights times gradients, cut at 0: one head.

    Args:
        weights: A.
        gradients: dA, as the same reader gives them.
    """
    if isinstance(weights, SparseWeights) and isinstance(gradients, SparseWeights):
        product = (weights.weights * gradients.weights).clamp(min=0)
        return SparseWeights(product.mean(dim=1, keepdim=True), weights.seen)
    product = (weights.dense() * gradients.dense()).clamp(min=0)
    return FullWeights(product.mean(dim=1, keepdim=True))
