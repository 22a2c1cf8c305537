"""From a checkpoint to a network: which architecture, which of its weights, which classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xattn.errors import CheckpointError
from xattn.images.channels import COLOURS
from xattn.images.preprocessing import Preprocessing
from xattn.models.architectures.allowed_options import check_options
from xattn.models.architectures.hugging_face import LIBRARY
from xattn.models.architectures.registry import build, variants
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.image_processors import find_processor, to_terms
from xattn.models.checkpoints.published import published
from xattn.models.checkpoints.records import Record, find_record, is_known
from xattn.models.matching.candidates import suggest
from xattn.models.matching.channels import channels_of
from xattn.models.matching.choose_weights import EMA, RAW
from xattn.models.matching.classes import Classes, find_classes
from xattn.models.matching.fingerprints import candidates
from xattn.models.matching.fitting import Fit, fit
from xattn.models.matching.hugging_face import config_beside, fill
from xattn.models.matching.inception import has_auxiliary
from xattn.models.matching.one_channel import NOTE as GREY
from xattn.models.matching.one_channel import widen_module
from xattn.models.matching.programs import (
    SIZE,
    fixed_size,
    opened,
    require_evaluating,
    require_same_logits,
)
from xattn.models.matching.state import match_state, skeleton
from xattn.models.probing.forward import model_dtype
from xattn.models.probing.outputs import VALUE

_RUN = "; with --unsafe-pickle its program predicts, but reading it may run code from the file"


@dataclass(frozen=True)
class Wanted:
    """What the caller says about a checkpoint, see `xattn.models.load`."""

    arch: str | None
    classes: Sequence[str] | None
    weights: str | None
    size: tuple[int, int] | None
    part: bool = False  # of the outputs is meant: they are more than the classes
    values: bool = False  # are meant, and each has one name
    ordinal: bool = False  # are meant: thresholds, one less than the classes


@dataclass(frozen=True)
class Made:
    """A network made of a checkpoint, and what is known about it."""

    module: nn.Module
    name: str
    classes: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    weights: str = RAW
    notes: tuple[str, ...] = ()
    record: Record = field(default_factory=Record)
    grey: bool = False
    size: tuple[int, int] | None = None
    channels: int = COLOURS
    guesses: tuple[str, ...] = ()
    preprocessing: tuple[Preprocessing, str] | None = None  # and who says it


def make_network(checkpoint: Checkpoint, wanted: Wanted) -> Made:
    """Build the network that a checkpoint is of, with its weights.

    Raises:
        CheckpointError: the file, the architecture and the classes do not fit together.
        UsageError: the architecture's name is unknown.
    """
    if checkpoint.format == "xattn":
        return _own(checkpoint, wanted)
    if wanted.arch == checkpoint.format:  # as the record of a run calls a program
        wanted = replace(wanted, arch=None)
    record = find_record(checkpoint, wanted.arch)
    if checkpoint.format == "pickle":
        return _pickled(checkpoint, wanted, record)
    if checkpoint.module is not None:
        return _program(checkpoint, wanted, record)
    config = config_beside(checkpoint.path)
    if config is not None and (wanted.arch or LIBRARY).startswith(LIBRARY):
        return _hugging_face(checkpoint, wanted, record, config)
    arch = wanted.arch or record.values.get("architecture")
    if arch is None or (wanted.arch is None and not is_known(arch)):
        raise CheckpointError(
            f"Expected --arch for {checkpoint.path}, which holds weights without a name"
            f"{suggest(checkpoint)}{_RUN if checkpoint.format == 'exported' else ''}"
        )
    made = _fill(checkpoint, replace(wanted, arch=arch), record)
    if wanted.arch is None:
        note = f"architecture {arch}: {record.sources['architecture']}"
        made = replace(made, notes=(note, *made.notes))
    return made


def _pickled(checkpoint: Checkpoint, wanted: Wanted, record: Record) -> Made:
    assert checkpoint.module is not None
    named, name = _classes(checkpoint, wanted, record, None), wanted.arch or "custom"
    size = wanted.size or record.apply(published(name, checkpoint.module)).size
    notes = list(named.notes)
    if model_dtype(checkpoint.module)[0] == torch.float16:  # few layers know it on a CPU
        checkpoint.module.float()
        notes.append("its weights of half precision are computed with in full")
    grey = widen_module(checkpoint.module, size)
    if grey:
        notes.append(GREY)
    return Made(
        checkpoint.module, name, named.names, notes=tuple(notes),
        record=record, grey=grey, guesses=named.guesses,
        channels=COLOURS if grey else channels_of(checkpoint.module, size),
    )  # fmt: skip


def _classes(checkpoint: Checkpoint, wanted: Wanted, record: Record, count: int | None) -> Classes:
    if count is not None and wanted.ordinal:
        count += 1
    how = {"part": wanted.part, "values": _values(wanted, record)}
    return find_classes(checkpoint.path, wanted.classes, record, count, **how)


def _values(wanted: Wanted, record: Record) -> bool:
    """Say whether outputs are values: as the user says, else a record of a regression."""
    return wanted.values or record.values.get("outputs") == VALUE


def _hugging_face(checkpoint: Checkpoint, wanted: Wanted, record: Record, config: Path) -> Made:
    """Build the classifier of transformers that the `config.json` beside the weights describes."""
    found = fill(checkpoint, config)
    if wanted.arch not in (None, found.described.name):
        raise CheckpointError(
            f"Expected --arch {found.described.name} as {config} says, but got {wanted.arch}"
        )
    names, given = found.described.classes()
    alone = len(names) == 1 and not (given and _values(wanted, record))  # no name of two classes
    if not alone and wanted.classes is None:
        record.values["classes"], record.sources["classes"] = names, f"{config.name} beside it"
    classes = _classes(checkpoint, wanted, record, len(names))
    notes = [f"architecture {found.described.name}: {config.name} beside it", *found.notes]
    guesses = list(classes.guesses)
    notes += classes.notes
    if classes.notes and not given:
        guesses.append(f"classes {', '.join(classes.names)}: {config.name} beside it names none")
        notes[-1] = guesses[-1]
    processor, source = find_processor(checkpoint.path.parent, found.described.config)
    if "for no file" in source:
        guesses.append(f"size, mean and std: {source}")
    return Made(
        found.module, found.described.name, classes.names, notes=tuple(notes), record=record,
        guesses=tuple(guesses), preprocessing=(to_terms(processor, source), source),
    )  # fmt: skip


def _own(checkpoint: Checkpoint, wanted: Wanted) -> Made:
    facts, arch, classes = checkpoint.facts, wanted.arch, wanted.classes
    name, names, options = facts["architecture"], list(facts["classes"]), facts["options"]
    if arch is not None and arch != name:
        raise CheckpointError(f"Expected --arch {name} as {checkpoint.path} says, but got {arch}")
    if classes is not None and list(classes) != names:
        raise CheckpointError(
            f"Expected the classes {', '.join(names)} as {checkpoint.path} says, but got "
            f"{', '.join(classes)}; leave --classes out"
        )
    if wanted.weights not in (None, RAW):
        kind = "averaged weights" if wanted.weights == EMA else "several sets of weights"
        raise CheckpointError(
            f"Expected {kind} in {checkpoint.path} for --weights {wanted.weights}, but got none"
            "; leave --weights out"
        )
    check_options(name, options, checkpoint.path)
    # Shapes alone first: what the file says of sizes takes no memory before its weights agree.
    n = len(names)
    match = match_state(checkpoint.state, skeleton(name, n, **options).state_dict())
    if not match.perfect and n == 2:  # one output stands for two classes
        one = match_state(checkpoint.state, skeleton(name, 1, **options).state_dict())
        n, match = (1, one) if one.perfect else (n, match)
    if not match.perfect:
        raise CheckpointError(f"{checkpoint.path} does not fill {name}: {match.describe()}")
    module = build(name, n, **options)
    module.load_state_dict(checkpoint.state, strict=False)  # compared above; counters may lack
    return Made(module, name, names, options)


def _fill(checkpoint: Checkpoint, wanted: Wanted, record: Record) -> Made:
    """Build `arch`, in the library's variant whose keys fit best, and load the weights."""
    assert wanted.arch is not None
    classes = wanted.classes or record.values.get("classes")
    if classes and wanted.ordinal:
        classes = classes[1:]  # as many as the thresholds
    fits = [
        fit(checkpoint, name, classes, wanted.weights, wanted.size)
        for name in variants(wanted.arch)
    ]
    # Torchvision's Inception has auxiliary classifiers, which timm's of the same keys has not.
    auxiliary = has_auxiliary(checkpoint.state)
    best = max(
        fits,
        key=lambda one: (
            one.match.perfect, auxiliary and one.name.startswith("torchvision/"), one.match.agreeing
        ),
    )  # fmt: skip
    if not best.match.perfect:
        raise CheckpointError(_misfit(checkpoint, wanted.arch, best))
    named = _classes(checkpoint, wanted, record, best.n_classes)
    return Made(
        best.make(), best.name, named.names, best.options, best.weights,
        (*best.notes, *named.notes), record, best.grey, best.size,
        best.first[1] if best.first else COLOURS, (*best.guesses, *named.guesses),
    )  # fmt: skip


def _misfit(checkpoint: Checkpoint, arch: str, best: Fit) -> str:
    return (
        f"{checkpoint.path} does not fill {arch}: {best.match.describe()}"
        f"{suggest(checkpoint, besides=arch)}"
    )


def _program(checkpoint: Checkpoint, wanted: Wanted, record: Record) -> Made:
    """Move the weights of a program into its architecture, if both then give the same logits.

    Where no architecture was named and none fits, the program itself predicts.
    """
    assert checkpoint.module is not None
    require_evaluating(checkpoint, fixed_size(checkpoint.module) or wanted.size or SIZE)
    for name in _likely(checkpoint, wanted, record):
        try:
            made = _fill(checkpoint, replace(wanted, arch=name), record)
            size = made.size or published(made.name, made.module).size
            require_same_logits(
                checkpoint,
                made.module.eval(),
                fixed_size(checkpoint.module) or size,
                made.channels,
            )
        except CheckpointError:
            # Of a graph, weights are folded into one another when it is written.
            if wanted.arch is not None and checkpoint.format != "onnx":
                raise
        else:
            return replace(made, size=fixed_size(checkpoint.module) or made.size)
    classes = _classes(checkpoint, wanted, record, None)
    module, note = opened(checkpoint.module, fixed_size(checkpoint.module) or wanted.size or SIZE)
    return Made(
        module, checkpoint.format, classes.names, notes=(*classes.notes, note),
        record=record, guesses=classes.guesses, size=fixed_size(checkpoint.module),
        grey=getattr(checkpoint.module, "channels", COLOURS) == 1,
        channels=_channels(checkpoint.module, wanted),
    )  # fmt: skip


def _channels(program: nn.Module, wanted: Wanted) -> int:
    """Return the channels that a program takes; one of grey images is given colours."""
    known = getattr(program, "channels", None)
    if known is not None:
        return COLOURS if known == 1 else int(known)
    return channels_of(program, fixed_size(program) or wanted.size or SIZE)


def _likely(checkpoint: Checkpoint, wanted: Wanted, record: Record) -> list[str]:
    """Return the architectures that a program may be of: as is said, else all of its shapes."""
    named = record.values.get("architecture")
    if wanted.arch is not None:
        return [wanted.arch]
    return [named] if named and is_known(named) else candidates(checkpoint.state)
