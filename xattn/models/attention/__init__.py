"""Reading a model's own attention: which layers attend, what to capture, who looks where.

Fused attention never builds its weights, and hooks on a softmax would fire zero times. So what the
weights are made of is read where it leaves named submodules, during the one forward pass that is
run anyway; nothing about the model's own path changes.
"""

from xattn.models.attention.layer import AttentionLayer, attention_map
from xattn.models.attention.registry import READERS, Reader, is_attention, reader, reader_of
from xattn.models.attention.weights import (
    DenseWeights,
    FullWeights,
    PoolingWeights,
    SparseWeights,
    Weights,
    positive_product,
)

__all__ = [
    "READERS",
    "AttentionLayer",
    "DenseWeights",
    "FullWeights",
    "PoolingWeights",
    "Reader",
    "SparseWeights",
    "Weights",
    "attention_map",
    "is_attention",
    "positive_product",
    "reader",
    "reader_of",
]
