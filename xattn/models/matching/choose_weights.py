"""Which of the sets of weights in a file is taken: last or averaged, a teacher's or a student's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.containers import Weights, is_averaged
from xattn.models.matching.fitting_sets import FittingSet, equally_good, fitting_sets
from xattn.models.matching.keys import Reading

EMA, RAW = "ema", "raw"
"""Averaged weights and those of the last step; any other word names a set of the file."""


@dataclass(frozen=True)
class Choice:
    """The weights that are taken.

    Attributes:
        reading: by the architecture's keys.
        weights: `EMA`, `RAW`, or the name of the set that was asked for.
        notes: what else the file holds, and how to have it.
        guessed: whether nobody said which of several.
        beside: prefixes of other whole sets in the file, which are named and not merely left over.
    """

    reading: Reading
    weights: str
    notes: tuple[str, ...] = ()
    guessed: bool = False
    beside: tuple[str, ...] = ()


def sets_of(checkpoint: Checkpoint) -> Sequence[Weights]:
    """Return every set of weights in a file; of formats that hold one, that."""
    return checkpoint.sets or (Weights("", checkpoint.state),)


def choose(
    checkpoint: Checkpoint,
    sets: Sequence[Weights],
    expected: Mapping[str, Tensor],
    module: nn.Module,
    wanted: str | None,
) -> Choice:
    """Choose among the sets of weights of a file.

    Averaged weights go before the last ones of the training; of sets that fit equally well the
    first is taken, and the others are named.

    Raises:
        CheckpointError: what is wanted is not there.
    """
    if wanted is not None and wanted not in (EMA, RAW):
        return _named(checkpoint, sets, expected, module, wanted)
    raw, raw_at, others = _best(_flat(sets, averaged=False), expected, module)
    ema, ema_at, more = _average(sets, raw, expected, module)
    if wanted == EMA and ema is None:
        raise CheckpointError(
            f"Expected averaged weights in {checkpoint.path} for --weights ema, but got none"
            "; leave --weights out"
        )
    if wanted == RAW and raw is None:
        raise CheckpointError(
            f"Expected weights that are no average in {checkpoint.path} for --weights raw, but "
            "got averaged ones alone; leave --weights out"
        )
    if ema is None:
        assert raw is not None  # a file without any is refused before
        return Choice(raw, RAW, _several(raw_at, others), bool(others), _prefixes(others))
    if raw is None:
        notes = (f"its weights are averaged ones{_at(ema_at)}", *_several(ema_at, more))
        return Choice(ema, EMA, notes, bool(more), _prefixes(more))
    kind = wanted or EMA
    other = RAW if kind == EMA else EMA
    taken, at, rest = (ema, ema_at, more) if kind == EMA else (raw, raw_at, others)
    names = {EMA: "averaged", RAW: "last"}
    note = (
        f"holds averaged weights beside the last ones: the {names[kind]}{_at(at)} are taken, "
        f"--weights {other} takes the others"
    )
    notes = (note, *_several(at, rest))
    return Choice(taken, kind, notes, wanted is None or bool(rest), _prefixes(rest))


def _named(
    checkpoint: Checkpoint,
    sets: Sequence[Weights],
    expected: Mapping[str, Tensor],
    module: nn.Module,
    wanted: str,
) -> Choice:
    """Take the set of this name; one of the keys that lead to it will do if it is the only one."""
    found = [one for one in fitting_sets(sets, expected, module) if one.agreeing]
    exact = [one for one in found if one.name == wanted]
    called = exact or [one for one in found if one.is_called(wanted)]
    if len(called) != 1:
        names = ", ".join(dict.fromkeys(one.name for one in found if one.name))
        held = f"holds {names}" if names else "names none; leave --weights out"
        raise CheckpointError(
            f"Expected ema, raw or the name of a set of weights for --weights, but got {wanted}; "
            f"{checkpoint.path} {held}"
        )
    others = [one for one in equally_good(found, expected) if one is not called[0]]
    if called[0] is not found[0]:
        others.append(found[0])
    return Choice(called[0].reading, called[0].name, beside=_prefixes(others))


def _prefixes(sets: Iterable[FittingSet]) -> tuple[str, ...]:
    return tuple(one.reading.prefix for one in sets if one.reading.prefix)


def _several(taken: str, others: Sequence[FittingSet]) -> tuple[str, ...]:
    """Say which of several sets that fit equally well is taken."""
    if not others:
        return ()
    options = " or ".join(f"--weights {one.name}" for one in others if one.name)
    which = taken or "the one outside of them"
    return (
        f"holds {len(others) + 1} sets of weights that fit equally well: {which} is taken"
        + (
            f", {options} takes {'the other' if len(others) == 1 else 'another'}" if options else ""
        ),
    )


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
) -> tuple[Reading | None, str, list[FittingSet]]:
    """Return the reading that fits best, its name, and other sets that fit equally well."""
    found = fitting_sets(sets, expected, module)
    if not found:
        return None, "", []
    return found[0].reading, found[0].name, equally_good(found, expected)


def _average(
    sets: Sequence[Weights], raw: Reading | None, expected: Mapping[str, Tensor], module: nn.Module
) -> tuple[Reading | None, str, list[FittingSet]]:
    """Find the averaged weights, if the file holds such of most of the network."""
    parameters = dict(module.named_parameters())
    needed = sum(k in expected for k in parameters) / 2
    found, where, others = _best(_flat(sets, averaged=True), expected, module)
    if found is not None:  # decay and counts of steps are no weights
        kept = {k: v for k, v in found.state.items() if v.numel() > 1 or k in expected}
        found = replace(found, state=kept)
    if found is not None and found.agreeing(expected) >= needed:
        if raw is not None:  # averages of parameters alone: statistics are the last ones
            found = replace(found, state={**raw.state, **found.state})
        return found, where, others
    if raw is None:
        return found, where, others
    for one in _flat(sets, averaged=True):
        named = _without_points(one.state, [*raw.state])
        if len(named) >= needed:
            return replace(raw, state={**raw.state, **named}), one.where or "without points", []
    for one in sets:
        keys = [key for key in raw.state if key in parameters or key not in expected]
        keys = [key for key in keys if not key.endswith(("running_mean", "running_var"))]
        keys = [key for key in keys if not key.endswith("num_batches_tracked")]
        alike = len(keys) == len(one.listed) and all(
            raw.state[key].shape == value.shape for key, value in zip(keys, one.listed, strict=True)
        )
        if one.listed and alike:
            listed = dict(zip(keys, one.listed, strict=True))
            return replace(raw, state={**raw.state, **listed}), one.where, []
    return None, "", []


def _without_points(state: Mapping[str, Tensor], keys: Sequence[str]) -> dict[str, Tensor]:
    """Find averages whose names are the keys without their points, as buffers must be called."""
    bare = {key.replace(".", ""): key for key in keys}
    found = {}
    for name, value in state.items():
        key = bare.get(name.rpartition(".")[2])
        if key is not None:
            found[key] = value
    return found
