"""Rules of attention that is one operation of torch, or of this project: its parts, spelled out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.attribution.passes.relevance.layers import linear
from xattn.attribution.passes.relevance.operations import Rules, depends, no_rule, rule
from xattn.attribution.passes.relevance.rules import factor, softmax
from xattn.models.attention.readers import neighbours


@rule("scaled_dot_product_attention")
def attend(
    given: Rules, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(q k^T) v, each product by the uniform rule."""
    if dropout_p or is_causal or enable_gqa:
        raise no_rule("scaled_dot_product_attention with dropout, a causal mask or shared keys")
    scaled = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    logits = _product(scaled, key.transpose(-2, -1))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        logits = logits + (
            attn_mask if depends(attn_mask) else given.ledger.constant(attn_mask, logits)
        )
    weights = softmax(logits, -1, given.ledger) if depends(logits) else logits.softmax(-1)
    return _product(weights, value)


def _product(first: Tensor, second: Tensor) -> Tensor:
    if depends(first) and depends(second):
        return factor(first) @ factor(second)
    return first @ second


@rule("multi_head_attention_forward")
def multi_head(
    given: Rules, query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int,
    num_heads: int, in_proj_weight: Tensor | None, in_proj_bias: Tensor | None,
    bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True,
    attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, *_: Any, **named: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """As `torch.nn.functional.multi_head_attention_forward` (length, n, width), batched."""
    odd = (bias_k, bias_v, key_padding_mask, attn_mask)
    plain = not (training and dropout_p) and not add_zero_attn and not use_separate_proj_weight
    if any(one is not None for one in odd) or not plain or query.ndim != 3:
        raise no_rule("multi_head_attention_forward with masks or keys that are no positions")
    assert in_proj_weight is not None
    biases = [None] * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (
        _in_heads(_linear(given, x, w, b), num_heads)
        for x, w, b in zip((query, key, value), in_proj_weight.chunk(3), biases, strict=True)
    )
    mixed = attend(given, q, k, v)  # (n, heads, length, d)
    joined = mixed.permute(2, 0, 1, 3).flatten(2)
    return linear(given, joined, out_proj_weight, out_proj_bias), None


def _linear(given: Rules, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return linear(given, x, weight, bias) if depends(x) else F.linear(x, weight, bias)


def _in_heads(x: Tensor, heads: int) -> Tensor:
    """Rearrange (length, n, width) to (n, heads, length, d)."""
    length, n, _ = x.shape
    return x.reshape(length, n, heads, -1).permute(1, 2, 0, 3)


@rule("attend")
def attend_to_neighbours(
    given: Rules, q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor
) -> Tensor:
    """As `neighbourhood.attend`, with the neighbours laid out one by one."""
    n, h, w, heads, d = k.shape
    side = len(row)
    numbers = neighbours(h, w, side).to(k.device)  # (h * w, side * side)
    there = numbers < h * w

    def laid_out(x: Tensor) -> Tensor:
        flat = x.reshape(n, h * w, heads, d)
        return flat[:, numbers.clamp(max=h * w - 1)]  # (n, h * w, side * side, heads, d)

    query = q.reshape(n, h * w, 1, heads, d)
    logits = (factor(query) * factor(laid_out(k))).sum(-1)
    offsets = row[:, None] + column[None]  # (side, side, n, h, w, heads)
    logits = logits + offsets.permute(2, 3, 4, 0, 1, 5).reshape(n, h * w, side * side, heads)
    weights = softmax(logits.masked_fill(~there[None, :, :, None], -torch.inf), 2, given.ledger)
    mixed = (factor(weights)[..., None] * factor(laid_out(v))).sum(2)
    return mixed.reshape(n, h, w, heads, d)
