"""Which layers that a probing forward saw are attention whose weights can be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from xattn.models.attention import AttentionLayer, reader_of
from xattn.models.attention.watching import Watching
from xattn.models.probing.forward import evaluating, probe_input
from xattn.models.probing.probe import Seen


def find_attention_layers(module: nn.Module, seen: Sequence[Seen]) -> tuple[AttentionLayer, ...]:
    """Return the attention layers with a grid that run once, in order of execution."""
    found = []
    by_name = {layer.name: layer for layer in seen}
    for layer in seen:
        part = module.get_submodule(layer.name)
        reader = reader_of(part)
        if reader is None or layer.calls > 1:
            continue
        attended = by_name[f"{layer.name}.{reader.grid_of}"] if reader.grid_of else layer
        if attended.layout is None or not reader.fits(attended.layout.grid):
            continue
        found.append(
            AttentionLayer(
                name=layer.name,
                kind=type(part).__name__,
                heads=reader.heads,
                grid=attended.layout.grid,
                prefix=attended.layout.prefix,
                readout=layer.leading if layer.reach == 0 and not reader.pools else (),
                in_blocks=reader.in_blocks,
                pools=reader.pools,
                tokens=attended.name if reader.grid_of else "",
            )
        )
    return tuple(found)


def find_unread_attention(
    module: nn.Module, size: tuple[int, int], read: Sequence[str], channels: int = 3
) -> tuple[str, ...]:
    """Name the modules that attend, but whose weights nobody reads.

    Args:
        module: comes back as it was.
        size: (height, width) of the input.
        read: paths of the layers that are read.
        channels: of the input.

    Returns:
        Paths, in order of execution; whatever calls torch's attention, or a softmax of three axes
        or more, counts as attending.
    """
    running: list[str] = []
    found: dict[str, None] = {}

    def attends(_notes: dict[str, Tensor]) -> None:
        inner = running[-1] if running else ""
        if not any(inner == name or inner.startswith(name + ".") for name in read):
            found[inner.removesuffix(".softmax")] = None

    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(module))
        for name, part in module.named_modules():

            def enter(_part: nn.Module, _inputs: Any, name: str = name) -> None:
                running.append(name)

            def leave(_part: nn.Module, _inputs: Any, _output: Any) -> None:
                running.pop()

            stack.callback(part.register_forward_pre_hook(enter).remove)
            stack.callback(part.register_forward_hook(leave, always_call=True).remove)
        with Watching(attends):
            module(probe_input(module, size, channels=channels))
    return tuple(found)
