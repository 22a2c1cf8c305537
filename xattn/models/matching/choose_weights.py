"""Which of the sets of weights in a file is taken: the last of a training, or their average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.containers import Weights, is_averaged
from xattn.models.matching.keys import Reading, best_reading

Kind = Literal["ema", "raw"]


def sets_of(checkpoint: Checkpoint) -> Sequence[Weights]:
    """Return every set of weights in a file; of formats that hold one, that."""
    return checkpoint.sets or (Weights("", checkpoint.state),)


def choose(
    checkpoint: Checkpoint,
    sets: Sequence[Weights],
    expected: Mapping[str, Tensor],
    module: nn.Module,
    wanted: Kind | None,
) -> tuple[Reading, Kind, list[str]]:
    """Choose between the last weights of a training and their average, where a file holds both."""
    raw, raw_at = _best(_flat(sets, averaged=False), expected, module)
    ema, ema_at = _average(sets, raw, expected, module)
    if wanted == "ema" and ema is None:
        raise CheckpointError(
            f"Expected averaged weights in {checkpoint.path} for --weights ema, but got none"
            "; leave --weights out"
        )
    if wanted == "raw" and raw is None:
        raise CheckpointError(
            f"Expected weights that are no average in {checkpoint.path} for --weights raw, but "
            "got averaged ones alone; leave --weights out"
        )
    if ema is None:
        assert raw is not None  # a file without any is refused before
        return raw, "raw", []
    if raw is None:
        return ema, "ema", [f"its weights are averaged ones{_at(ema_at)}"]
    kind: Kind = wanted or "ema"
    other = "raw" if kind == "ema" else "ema"
    taken, at = (ema, ema_at) if kind == "ema" else (raw, raw_at)
    names = {"ema": "averaged", "raw": "last"}
    notes = [
        f"holds averaged weights beside the last ones: the {names[kind]}{_at(at)} are taken, "
        f"--weights {other} takes the others"
    ]
    return taken, kind, notes


def _at(where: str) -> str:
    return f" ({where})" if where else ""


def _flat(sets: Sequence[Weights], averaged: bool) -> list[Weights]:
    """Take each set's keys apart by whether they say that they are of an average."""
    found = []
    for one in sets:
        if one.averaged:
            found += [one] * averaged
            continue
        part = {k: v for k, v in one.state.items() if is_averaged(_parent(k)) == averaged}
        if part:
            found.append(replace(one, state=part, averaged=averaged))
    return found


def _parent(key: str) -> str:
    return key.rpartition(".")[0]


def _best(
    sets: Iterable[Weights], expected: Mapping[str, Tensor], module: nn.Module
) -> tuple[Reading | None, str]:
    best, where, score = None, "", (-1, False)
    for one in sets:
        reading = best_reading(one.state, expected, module)
        this = (reading.agreeing(expected), reading.usual)
        if this > score:
            best, where, score = reading, f"{one.where} {reading.prefix}".strip(), this
    return best, where


def _average(
    sets: Sequence[Weights], raw: Reading | None, expected: Mapping[str, Tensor], module: nn.Module
) -> tuple[Reading | None, str]:
    """Find the averaged weights, if the file holds such of most of the network."""
    parameters = dict(module.named_parameters())
    needed = sum(k in expected for k in parameters) / 2
    found, where = _best(_flat(sets, averaged=True), expected, module)
    if found is not None:  # decay and counts of steps are no weights
        kept = {k: v for k, v in found.state.items() if v.numel() > 1 or k in expected}
        found = replace(found, state=kept)
    if found is not None and found.agreeing(expected) >= needed:
        if raw is not None:  # averages of parameters alone: statistics are the last ones
            found = replace(found, state={**raw.state, **found.state})
        return found, where
    if raw is None:
        return (None, "") if found is None else (found, where)
    for one in _flat(sets, averaged=True):
        named = _without_points(one.state, [*raw.state])
        if len(named) >= needed:
            return replace(raw, state={**raw.state, **named}), one.where or "without points"
    for one in sets:
        keys = [key for key in raw.state if key in parameters or key not in expected]
        keys = [key for key in keys if not key.endswith(("running_mean", "running_var"))]
        keys = [key for key in keys if not key.endswith("num_batches_tracked")]
        alike = len(keys) == len(one.listed) and all(
            raw.state[key].shape == value.shape for key, value in zip(keys, one.listed, strict=True)
        )
        if one.listed and alike:
            listed = dict(zip(keys, one.listed, strict=True))
            return replace(raw, state={**raw.state, **listed}), one.where
    return None, ""


def _without_points(state: Mapping[str, Tensor], keys: Sequence[str]) -> dict[str, Tensor]:
    """Find averages whose names are the keys without their points, as buffers must be called."""
    bare = {key.replace(".", ""): key for key in keys}
    found = {}
    for name, value in state.items():
        key = bare.get(name.rpartition(".")[2])
        if key is not None:
            found[key] = value
    return found
