"""Layers up to the explained one in bfloat16 or float16; all that follows stays in float32.

Each module that finishes before the explained layer, and that layer, computes under torch's
autocast and returns float32. So the head, its gradient, maps and logits are computed in float32,
of activations that were rounded. A pass that records a graph from the beginning (gradients down to
the pixels) runs in float32 as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xattn.attribution.passes.partial_forward import trunk_of
from xattn.models.interface import Model
from xattn.settings.precision import FULL

DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}
"""Precisions below the full one, in torch's types."""
TOLERANCES: dict[str, float] = {FULL: 1e-4, "bf16": 0.25, "16": 0.05}
"""Largest deviation of a copy, as a fraction of the largest value that is compared.

Below 32 logits and activations are compared; a gradient may turn where a ReLU or a maximum does.
Looser than rounding needs by a factor, so that only a copy that is wrong is refused: on noise small
networks of random weights deviated by up to 2e-2 in bf16 and 2e-3 in float16, a trained
EfficientNet-Lite0 by up to 0.07 (0.12 in OpenVINO) and 0.007.
"""
UNROUNDED = 2e-5
"""What deviates by less was computed in float32; bf16 keeps 3 digits, float16 hardly 4."""


class Lowered:
    """The low precision of a private copy, which a block can pause.

    Attributes:
        precision: "bf16" or "16".
        paused: whether all is computed in float32 for now.
    """

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.paused = False

    @property
    def applies(self) -> bool:
        """Whether a pass that begins now runs in low precision: none that records a graph does."""
        return not self.paused and not torch.is_grad_enabled()

    def __deepcopy__(self, _memo: Any) -> Lowered:
        """Stay one: who copies the network pauses its copy, too."""
        return self


@contextmanager
def in_float32(model: Model) -> Iterator[None]:
    """Let a copy, or those of an ensemble, compute in float32 in the block.

    Args:
        model: of any precision.
    """
    found = [one.lowered for one in (model, *model.members) if one.lowered is not None]
    before = [one.paused for one in found]
    try:
        for one in found:
            one.paused = True
        yield
    finally:
        for one, was in zip(found, before, strict=True):
            one.paused = was


def lower(copied: Model, precision: str) -> bool:
    """Let the layers of a private copy up to the explained one compute in low precision.

    Args:
        copied: runs in torch; its modules are changed.
        precision: "bf16" or "16".

    Returns:
        Whether there is such a layer with weights.
    """
    calls = {one.name: one.calls for one in copied.seen}
    names = [*trunk_of(copied), copied.target_layer]
    # One that runs more than once may run after the explained layer, too.
    parts = [copied.module.get_submodule(name) for name in names if calls.get(name) == 1]
    parts = [part for part in parts if any(True for _ in part.parameters())]
    copied.lowered = Lowered(precision)
    for part in parts:
        # As a partial of a bound method it goes with a deep copy of the network.
        part.forward = partial(_lowered, part.forward, copied.lowered, copied.device.type)
    return bool(parts)


def as_full(model: Model, output: Any) -> Any:
    """Return what a copy of low precision gave in float32, and what another gave as it is.

    Args:
        model: that gave it.
        output: tensors, also in a tuple, a list or a dict.
    """
    return output if model.lowered is None else in_full(output)


def _lowered(forward: Any, how: Lowered, device: str, *arguments: Any, **named: Any) -> Any:
    if not how.applies:
        return forward(*arguments, **named)
    with torch.autocast(device, dtype=DTYPES[how.precision]):
        return in_full(forward(*arguments, **named))


def in_full(output: Any) -> Any:
    """Return an output, or those in a tuple, a list or a dict, in float32.

    Args:
        output: tensors of low precision are changed, all else stays.
    """
    if isinstance(output, Tensor):
        return output.float() if output.dtype in DTYPES.values() else output
    if type(output) in (tuple, list):
        return type(output)(in_full(one) for one in output)
    if isinstance(output, dict):
        return {key: in_full(one) for key, one in output.items()}
    return output
