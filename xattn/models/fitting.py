"""Filling an architecture with the weights of a checkpoint, and telling what was done for it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.images.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from xattn.models.checkpoint import Checkpoint
from xattn.models.grey import NOTE, widen_state
from xattn.models.heads import Head, classifier_of, find_head
from xattn.models.keys import Reading, best_reading
from xattn.models.nests import Weights, is_averaged
from xattn.models.registry import build
from xattn.models.state import Match, compare, skeleton

Kind = Literal["ema", "raw"]
Size = tuple[int, int]
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
        weights: "ema" for averaged weights, "raw" for others.
        notes: one line for each thing that was guessed, changed or left out.
        grey: whether the network takes one channel.
            size: that its position embeddings were resampled to or tell.
        channels: of its first layer, where that is all but 1 and 3.
    """

    name: str
    options: dict[str, Any]
    state: State
    n_classes: int
    match: Match
    head: Head | None = None
    weights: Kind = "raw"
    notes: tuple[str, ...] = ()
    grey: bool = False
    size: Size | None = None
    channels: int | None = None

    def make(self) -> nn.Module:
        """Build the network and load the weights."""
        module = build(self.name, self.n_classes, **self.options)
        state = dict(self.state)
        if self.head is not None:
            classifier = classifier_of(module)
            assert classifier is not None  # a head was found for it
            self.head.put_into(module, classifier)
        module.load_state_dict(state, strict=False)  # compared before; counters may lack
        return module


def fit(
    checkpoint: Checkpoint,
    name: str,
    classes: Sequence[str] | None = None,
    weights: Kind | None = None,
    size: Size | None = None,
) -> Fit:
    """Compare a checkpoint with an architecture of as many classes as it holds itself.

    Args:
        checkpoint: with a state dict.
        name: as `build` takes it, of one library.
        classes: names of the classes; they tell which of several layers is the classifier.
        weights: which set to take where the file holds averaged weights too; averaged by default.
        size: (height, width) of the input, for networks that are built for one.

    Raises:
        CheckpointError: the set asked for is not there, or several classifiers are.
    """
    options = dict(_EXTRA.get(name, {}))
    empty = skeleton(name, 1000, **options)
    sets = [replace(one, state=_without_extras(name, one.state)) for one in _sets(checkpoint)]
    resized = _built_for(empty, sets, size)
    if resized:
        options |= resized[0]
        empty = skeleton(name, 1000, **options)
    classifier = classifier_of(empty)
    expected = _but(empty.state_dict(), classifier)
    reading, kind, notes = _choose(checkpoint, sets, expected, empty, weights)
    state, given = dict(reading.state), resized[1] if resized else None
    if resized and _resample(state, empty, resized[1], resized[2]):
        notes.append(f"position embeddings resampled from {_by(resized[2])} to {_by(resized[1])}")
    grey = widen_state(state, expected)
    if grey:
        notes.append(NOTE)
    head, n_classes = None, 1000
    if classifier is not None:
        head, n_classes = _head(reading, state, empty, classifier, len(classes or ()))
    full = skeleton(name, n_classes, **options)
    if head is not None and classifier is not None:
        state = {k: v for k, v in state.items() if k not in head.used}
        state |= {f"{classifier}.{key}": value for key, value in head.state.items()}
        head.put_into(full, classifier)
        if head.layers is not None:
            notes.append(
                f"classifier rebuilt as {head.describe()}: the file does not tell its activation"
            )
    match = compare(state, full.state_dict())
    if match.perfect:
        notes += _left_out(reading, head, full, classifier, checkpoint)
        notes += _NOTES.get(name, ())
    state = {k: v for k, v in state.items() if k in full.state_dict()}
    channels = _channels(state, expected)
    return Fit(
        name, options, state, n_classes, match, head, kind, tuple(notes), grey, given, channels
    )


_EXTRA: dict[str, dict[str, Any]] = {
    "torchvision/inception_v3": {
        "aux_logits": False, "transform_input": True, "init_weights": False,
    },
    "torchvision/googlenet": {
        "aux_logits": False, "transform_input": True, "init_weights": False,
    },
}  # fmt: skip
"""Torchvision's published weights of these rescale their input; who fine-tunes them inherits it."""


def _undone() -> str:
    """Options under which the rescaling inside makes ImageNet's normalisation of the pixels."""
    pairs = list(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    mean = ",".join(f"{m + s * (m - 0.5) / 0.5:.4f}" for m, s in pairs)
    return f"--mean {mean} --std " + ",".join(f"{s * s / 0.5:.4f}" for _, s in pairs)


_NOTES = {
    name: (
        "its input is rescaled inside (transform_input), as in torchvision's published weights; "
        f"for one trained from scratch without that: {_undone()}",
    )
    for name in _EXTRA
}

_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")


def has_auxiliary(state: Mapping[str, Tensor]) -> bool:
    """Whether weights have classifiers that are used in training alone."""
    return any(f".{name}" in f".{key}" for key in state for name in _AUXILIARY)


def _without_extras(name: str, state: State) -> State:
    """Leave out classifiers that are used in training alone."""
    if not name.endswith(("inception_v3", "googlenet")):
        return state
    return {k: v for k, v in state.items() if not has_auxiliary({k: v})}


def _sets(checkpoint: Checkpoint) -> Sequence[Weights]:
    return checkpoint.sets or (Weights("", checkpoint.state),)


def _but(state: Mapping[str, Tensor], classifier: str | None) -> State:
    """Leave the classifier out: its shape depends on the classes, and trainings replace it."""
    own = f"{classifier}."
    return {k: v for k, v in state.items() if classifier is None or not k.startswith(own)}


def _choose(
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


def _without_points(state: Mapping[str, Tensor], keys: Sequence[str]) -> State:
    """Find averages whose names are the keys without their points, as buffers must be called."""
    bare = {key.replace(".", ""): key for key in keys}
    found = {}
    for name, value in state.items():
        key = bare.get(name.rpartition(".")[2])
        if key is not None:
            found[key] = value
    return found


def _head(
    reading: Reading, state: State, module: nn.Module, classifier: str, wanted: int
) -> tuple[Head | None, int]:
    """Find the classifier: the architecture's own, or what stands in its place."""
    expected = module.state_dict()
    weight, own = state.get(f"{classifier}.weight"), expected[f"{classifier}.weight"]
    width = own.shape[1]
    if weight is not None and weight.shape[1:] == own.shape[1:]:
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


def _left_out(
    reading: Reading,
    head: Head | None,
    module: nn.Module,
    classifier: str | None,
    checkpoint: Checkpoint,
) -> list[str]:
    """Say what of the file was not used; refuse a layer that comes after the classifier."""
    used = head.used if head else frozenset()
    rest = {k: v for k, v in reading.rest.items() if k not in used and not is_averaged(k)}
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


def _channels(state: State, expected: Mapping[str, Tensor]) -> int | None:
    """Return how many channels the first layer takes, if only that is unlike the architecture."""
    unlike = [k for k, v in expected.items() if k in state and state[k].shape != v.shape]
    if len(unlike) == 1:
        have, want = state[unlike[0]].shape, expected[unlike[0]].shape
        if len(have) == 4 and want[1] == 3 and have[0] == want[0] and have[2:] == want[2:]:
            return have[1]
    return None


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _built_for(
    module: nn.Module, sets: Sequence[Weights], size: Size | None
) -> tuple[dict[str, Any], Size, Size] | None:
    """Tell which input size a network of fixed size is built for: options, its size, the file's.

    None if the network takes any size, or takes the wanted one as it is published.
    """
    side_of_patches: Any = getattr(module, "patch_size", None)
    torchvision_side = getattr(module, "image_size", None)
    patch = getattr(module, "patch_embed", None)
    if isinstance(torchvision_side, int):
        own, cell = (torchvision_side, torchvision_side), (int(side_of_patches),) * 2
        wanted_key, prefix, option = "pos_embedding", 1, "image_size"
    elif patch is not None and getattr(patch, "img_size", None):
        own, cell = tuple(patch.img_size), tuple(patch.patch_size)
        wanted_key, prefix, option = "pos_embed", _prefix_tokens(module), "img_size"
    else:
        return None
    stored = _size_of(sets, wanted_key, prefix, cell) or own
    target = size or stored
    if target == own and stored == own:
        return None
    if option == "image_size" and target[0] != target[1]:
        return None
    if any(side % step for side, step in zip(target, cell, strict=True)):
        return None  # the forward pass will say that it does not divide
    value: Any = target[0] if option == "image_size" else target
    return {option: value}, target, stored


def _prefix_tokens(module: nn.Module) -> int:
    return (
        0 if getattr(module, "no_embed_class", False) else getattr(module, "num_prefix_tokens", 0)
    )


def _size_of(sets: Sequence[Weights], name: str, prefix: int, cell: Size) -> Size | None:
    """Read the input size off the number of position embeddings, if they make a square."""
    for one in sets:
        for key, value in one.state.items():
            if key.rpartition(".")[2] == name and value.ndim == 3:
                n = value.shape[1] - prefix
                side = math.isqrt(max(n, 0))
                if side and side * side == n:
                    return side * cell[0], side * cell[1]
    return None


def _resample(state: State, module: nn.Module, target: Size, stored: Size) -> bool:
    """Resample position embeddings in place, with the library's own function.

    Returns:
        Whether there were any of another size.
    """
    if target == stored:
        return False
    if "encoder.pos_embedding" in state:
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch: Any = module.patch_size
        state |= interpolate_embeddings(target[0], patch, OrderedDict(state))
        return True
    if "pos_embed" not in state or state["pos_embed"].ndim != 3:
        return False
    from timm.layers.pos_embed import resample_abs_pos_embed

    patch_embed: Any = module.patch_embed
    step = patch_embed.patch_size
    old = [stored[0] // step[0], stored[1] // step[1]]
    prefix = _prefix_tokens(module)
    if state["pos_embed"].shape[1] == old[0] * old[1] + prefix:
        state["pos_embed"] = resample_abs_pos_embed(
            state["pos_embed"].float(),
            new_size=list(patch_embed.grid_size),
            old_size=old,
            num_prefix_tokens=prefix,
        )
    return True  # else the library's filter did it
