"""Heads of coral-pytorch: one weight vector for all thresholds, and a bias for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from xattn.models.checkpoints.checkpoint import Checkpoint

_WEIGHT, _BIAS = "coral_weights.weight", "coral_bias"


def holds_coral(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint ends in a CORAL layer, whose outputs are thresholds by its name."""
    module = checkpoint.module
    keys = checkpoint.state or ({} if module is None else module.state_dict())
    return any(_heads(keys))


def unrolled(checkpoint: Checkpoint) -> Checkpoint:
    """Write the CORAL layer of each set of weights as the linear layer that computes the same."""
    return replace(
        checkpoint,
        state=_unrolled(checkpoint.state),
        sets=tuple(replace(one, state=_unrolled(one.state)) for one in checkpoint.sets),
    )


def _heads(keys: Mapping[str, Tensor]) -> list[str]:
    ends = [key.removesuffix(_BIAS) for key in keys if key.endswith(_BIAS)]
    return [prefix for prefix in ends if f"{prefix}{_WEIGHT}" in keys]


def _unrolled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = dict(state)
    for prefix in _heads(state):
        bias = found.pop(f"{prefix}{_BIAS}")
        weight = found.pop(f"{prefix}{_WEIGHT}")
        found |= {f"{prefix}weight": weight.repeat(len(bias), 1), f"{prefix}bias": bias}
    return found
