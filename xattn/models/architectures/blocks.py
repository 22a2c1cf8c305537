"""The blocks that make a hybrid of a network, by the name that stands after its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from xattn.errors import UsageError, near
from xattn.models.architectures.convolutional_control import ConvolutionalControl, matched_width
from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.architectures.local_attention import EmbeddedLocalAttention, LocalAttention

Block = Callable[..., nn.Module]


def matched_control(channels: int, *, match: str = "ga", **options: Any) -> nn.Module:
    """Build the convolutional control with as many parameters as an attention block.

    Args:
        channels: C of the (n, C, h, w) input and output.
        match: the block to match, "ga", "la" or "ela".
        options: of that block.

    Raises:
        UsageError: there is no such block.
    """
    if match not in ATTENTION:
        raise UsageError(f"Unknown block to match {match!r}{near(match, ATTENTION)}")
    with torch.device("meta"):  # counted, not used
        target = ATTENTION[match](channels, **options)
    wanted = sum(parameter.numel() for parameter in target.parameters())
    return ConvolutionalControl(channels, matched_width(channels, wanted))


ATTENTION: dict[str, Block] = {
    "ga": GlobalAttention,
    "la": LocalAttention,
    "ela": EmbeddedLocalAttention,
}

BLOCKS: dict[str, Block] = {**ATTENTION, "conv": matched_control}
"""Each maps `channels` and its options to a block whose output has its input's shape."""

MEANINGS = {
    "ga": "global self-attention (GA)",
    "la": "local self-attention (LA)",
    "ela": "embedded local self-attention (ELA)",
    "conv": "convolutions, with as many parameters as the GA hybrid,",
}
"""What a hybrid's entry says of its blocks."""
