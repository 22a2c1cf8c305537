"""Filling an architecture with the weights of a checkpoint, and telling what was done for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models.architectures.registry import build
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.containers import is_averaged
from xattn.models.matching import inception
from xattn.models.matching.channels import first_layer, take_channels
from xattn.models.matching.choose_weights import RAW, Choice, choose, sets_of
from xattn.models.matching.heads import Head, classifier_of, find_head
from xattn.models.matching.input_size import Size, built_for, by, resample
from xattn.models.matching.keys import Reading
from xattn.models.matching.one_channel import NOTE, widen_state
from xattn.models.matching.shape_options import (
    in_words,
    reads_windows,
    resampled_windows,
    shape_options,
)
from xattn.models.matching.state import Match, match_state, skeleton

State = dict[str, Tensor]


@dataclass(frozen=True)
class Fit:
    """How a checkpoint fits one library's variant of an architecture.

    Attributes:
        name, options: what `build` needs.
        state: weights by the architecture's keys.
        n_classes: outputs of the classifier.
        match: what agrees and what does not.
        head: the classifier that takes the place of the architecture's own; None if it is that.
        weights: "ema" for averaged weights, "raw" for others, or the name of a set in the file.
        notes: one line for each thing that was guessed, changed or left out.
        grey: whether the network takes one channel.
        size: (height, width) that it is built for, where that is not as published.
        first: key of its first layer's weight and its channels, where those are not 1 or 3.
        guesses: those of the notes that an option could have said.
    """

    name: str
    options: dict[str, Any]
    state: State
    n_classes: int
    match: Match
    head: Head | None = None
    weights: str = RAW
    notes: tuple[str, ...] = ()
    grey: bool = False
    size: Size | None = None
    first: tuple[str, int] | None = None
    guesses: tuple[str, ...] = ()

    def make(self) -> nn.Module:
        """Build the network and load the weights."""
        module = build(self.name, self.n_classes, **self.options)
        state = dict(self.state)
        if self.head is not None:
            classifier = classifier_of(module)
            assert classifier is not None  # a head was found for it
            self.head.put_into(module, classifier)
        if self.first is not None:
            take_channels(module, *self.first)
        module.load_state_dict(state, strict=False)  # compared before; counters may lack
        return module


def fit(
    checkpoint: Checkpoint,
    name: str,
    classes: Sequence[str] | None = None,
    weights: str | None = None,
    size: Size | None = None,
) -> Fit:
    """Compare a checkpoint with an architecture of as many classes as it holds itself.

    Args:
        checkpoint: with a state dict.
        name: as `build` takes it, of one library.
        classes: names of the classes; they tell which of several layers is the classifier.
        weights: which set to take where the file holds several: "ema", "raw" or its name; averaged
            weights by default, else the first.
        size: (height, width) of the input, for networks that are built for one.

    Raises:
        CheckpointError: the set asked for is not there, or several classifiers are.
    """
    states = [one.state for one in sets_of(checkpoint)]
    plain = None
    # Tables of other windows would fill the architecture as published too, for timm resamples them.
    if not reads_windows(states):
        with suppress(CheckpointError):
            plain = _fit(checkpoint, name, classes, weights, size, {})
    if plain is not None and plain.match.perfect:
        return plain
    shaped = shape_options(states, skeleton(name, 1000))
    if shaped:
        other = _fit(checkpoint, name, classes, weights, size, shaped)
        if other.match.perfect:
            return other
    return plain or _fit(checkpoint, name, classes, weights, size, {})


def _fit(
    checkpoint: Checkpoint,
    name: str,
    classes: Sequence[str] | None,
    weights: str | None,
    size: Size | None,
    shaped: Mapping[str, Any],
) -> Fit:
    options = dict(inception.OPTIONS.get(name, {})) | dict(shaped)
    empty = skeleton(name, 1000, **options)
    sets = [
        replace(one, state=inception.without_auxiliary(name, one.state))
        for one in sets_of(checkpoint)
    ]
    resized = built_for(empty, sets, size)
    if resized:
        options |= resized[0]
        empty = skeleton(name, 1000, **options)
    classifier = classifier_of(empty)
    expected = _but(empty.state_dict(), classifier)
    chosen = choose(checkpoint, sets, expected, empty, weights)
    reading, notes = chosen.reading, list(chosen.notes)
    guesses = notes[:] if chosen.guessed else []
    if shaped:
        notes.append(in_words({k: v for k, v in shaped.items() if k != "img_size" or not size}))
    state, given = dict(reading.state), resized[1] if resized else shaped.get("img_size")
    if windows := resampled_windows([one.state for one in sets], expected):
        notes.append(windows)
        guesses.append(windows)
    if resized and resample(state, empty, resized[1], resized[2]):
        notes.append(f"position embeddings resampled from {by(resized[2])} to {by(resized[1])}")
    grey = widen_state(state, expected)
    if grey:
        notes.append(NOTE)
    first = first_layer(state, expected)
    if first is not None:
        notes.append(f"takes {first[1]} channels, as its first layer shows")
    head, n_classes = None, 1000
    if classifier is not None:
        head, n_classes = _head(reading, state, empty, classifier, len(classes or ()))
    full = skeleton(name, n_classes, **options)
    if head is not None and classifier is not None:
        state = {k: v for k, v in state.items() if k not in head.used}
        state |= {f"{classifier}.{key}": value for key, value in head.state.items()}
        head.put_into(full, classifier)
        if head.layers is not None:
            guesses.append(
                f"classifier rebuilt as {head.describe()}: the file does not tell its activation"
            )
            notes.append(guesses[-1])
    if first is not None:
        take_channels(full, *first)
    match = match_state(state, full.state_dict())
    if match.perfect:
        notes += _left_out(chosen, head, full, classifier, checkpoint)
        notes += inception.NOTES.get(name, ())
    state = {k: v for k, v in state.items() if k in full.state_dict()}
    return Fit(
        name, options, state, n_classes, match, head, chosen.weights, tuple(notes), grey, given,
        first, tuple(guesses),
    )  # fmt: skip


def _but(state: Mapping[str, Tensor], classifier: str | None) -> State:
    """Leave the classifier out: its shape depends on the classes, and trainings replace it."""
    own = f"{classifier}."
    return {k: v for k, v in state.items() if classifier is None or not k.startswith(own)}


def _head(
    reading: Reading, state: State, module: nn.Module, classifier: str, wanted: int
) -> tuple[Head | None, int]:
    """Find the classifier: the architecture's own, or what stands in its place."""
    expected = module.state_dict()
    weight, own = state.get(f"{classifier}.weight"), expected[f"{classifier}.weight"]
    width = own.shape[1]
    if weight is not None and weight.shape[1:] == own.shape[1:]:
        longer = _continued(state, expected, module, classifier)
        if longer is not None:
            return longer, longer.n_classes
        state.setdefault(f"{classifier}.bias", torch.zeros(len(weight), dtype=weight.dtype))
        return None, len(weight)
    loose = {k: v for k, v in state.items() if k not in expected or k.startswith(classifier + ".")}
    parts = reading.prefix.rstrip(".").split(".")
    head = find_head(loose, classifier, width, module, wanted)
    for depth in range(len(parts) - 1, -1, -1):
        if head is not None:
            break
        beside = "".join(f"{part}." for part in parts[:depth])
        near = {k: v for k, v in reading.rest.items() if k.startswith(beside)}
        near = {k: v for k, v in near.items() if not is_averaged(k.removeprefix(beside))}
        head = find_head(near, classifier, width, module, wanted)
    return head, head.n_classes if head else 1000


def _continued(
    state: State, expected: Mapping[str, Tensor], module: nn.Module, classifier: str
) -> Head | None:
    """Find the layers that a training put behind the architecture's classifier, by their numbers.

    `classifier = Sequential(Dropout(), Linear(1280, 256), ReLU(), Linear(256, 2))` keeps the path
    of an own classifier at `classifier.1`, and goes on at `classifier.3`.
    """
    parent, _, end = classifier.rpartition(".")
    if not parent or not end.isdecimal():
        return None
    behind = {
        k: v
        for k, v in state.items()
        if k.startswith(f"{parent}.") and k not in expected and not k.startswith(f"{classifier}.")
    }
    if not behind:
        return None
    own = {k: v for k, v in state.items() if k.startswith(f"{classifier}.")}
    width = own[f"{classifier}.weight"].shape[1]
    head = find_head(own | behind, classifier, width, module, 0)
    return head if head is not None and head.layers is not None else None


def _left_out(
    chosen: Choice,
    head: Head | None,
    module: nn.Module,
    classifier: str | None,
    checkpoint: Checkpoint,
) -> list[str]:
    """Say what of the file was not used; refuse a layer that comes after the classifier."""
    used = head.used if head else frozenset()
    rest = {
        key: value
        for key, value in chosen.reading.rest.items()
        if key not in used and not is_averaged(key) and not key.startswith(chosen.beside)
    }
    if classifier is not None and head is None:
        outputs = len(module.state_dict()[f"{classifier}.weight"])
        for key, value in rest.items():
            if key.endswith("weight") and value.ndim == 2 and value.shape[1] == outputs:
                raise CheckpointError(
                    f"{checkpoint.path} has a layer after the classifier, {key} "
                    f"{tuple(value.shape)}, which the architecture has not; build the network "
                    "yourself and pass it to `xattn.wrap`"
                )
    if not rest:
        return []
    names = list(rest)
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    count = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
    return [f"{count} left out that the architecture has not ({shown})"]
