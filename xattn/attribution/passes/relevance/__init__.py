"""Layer-wise relevance propagation through any network, one rule for each kind of operation."""

from xattn.attribution.passes.relevance.ledger import Conservation, pool
from xattn.attribution.passes.relevance.propagate import Propagated, propagate_relevance

__all__ = ["Conservation", "Propagated", "pool", "propagate_relevance"]
