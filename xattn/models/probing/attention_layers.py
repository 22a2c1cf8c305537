"""Which layers that a probing forward saw are attention whose weights can be read."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from xattn.models.attention import AttentionLayer, reader_of
from xattn.models.probing.probe import Seen


def find_attention_layers(module: nn.Module, seen: Sequence[Seen]) -> tuple[AttentionLayer, ...]:
    """Return the attention layers with a grid that run once, in order of execution."""
    found = []
    for layer in seen:
        part = module.get_submodule(layer.name)
        reader = reader_of(part)
        if reader is None or layer.layout is None or layer.calls > 1:
            continue
        found.append(
            AttentionLayer(
                name=layer.name,
                kind=type(part).__name__,
                heads=reader.heads,
                grid=layer.layout.grid,
                prefix=layer.layout.prefix,
                readout=layer.leading if layer.reach == 0 else (),
            )
        )
    return tuple(found)
