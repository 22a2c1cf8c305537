"""From a checkpoint to a network: which architecture, which of its weights, which classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError, XattnError
from xattn.models.architectures.allowed_options import check_options
from xattn.models.architectures.registry import build, variants
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.published import published
from xattn.models.checkpoints.records import Record, find_record
from xattn.models.matching.candidates import suggest
from xattn.models.matching.choose_weights import EMA, RAW
from xattn.models.matching.fitting import Fit, fit
from xattn.models.matching.inception import has_auxiliary
from xattn.models.matching.one_channel import NOTE as GREY
from xattn.models.matching.one_channel import widen_module
from xattn.models.matching.state import likely_architecture, match_state, skeleton
from xattn.models.probing.outputs import check_count


@dataclass(frozen=True)
class Wanted:
    """What the caller says about a checkpoint, see `xattn.models.load`."""

    arch: str | None
    classes: Sequence[str] | None
    weights: str | None
    size: tuple[int, int] | None
    part: bool = False  # of the outputs is meant: they are more than the classes


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
    guesses: tuple[str, ...] = ()


def make_network(checkpoint: Checkpoint, wanted: Wanted) -> Made:
    """Build the network that a checkpoint is of, with its weights.

    Raises:
        CheckpointError: the file, the architecture and the classes do not fit together.
        UsageError: the architecture's name is unknown.
    """
    if checkpoint.format == "xattn":
        return _own(checkpoint, wanted)
    record = find_record(checkpoint, wanted.arch)
    if checkpoint.format == "pickle":
        assert checkpoint.module is not None
        names, name = _need_classes(checkpoint, wanted, record, None), wanted.arch or "custom"
        size = wanted.size or record.apply(published(name, checkpoint.module)).size
        grey = widen_module(checkpoint.module, size)
        notes = (GREY,) if grey else ()
        return Made(checkpoint.module, name, names, notes=notes, record=record, grey=grey)
    if checkpoint.format == "torchscript":
        return _torchscript(checkpoint, wanted, record)
    arch = wanted.arch or record.values.get("architecture")
    if arch is None or (wanted.arch is None and not _is_known(arch)):
        raise CheckpointError(
            f"Expected --arch for {checkpoint.path}, which holds weights without a name"
            f"{suggest(checkpoint)}"
        )
    made = _fill(checkpoint, replace(wanted, arch=arch), record)
    if wanted.arch is None:
        note = f"architecture {arch}: {record.sources['architecture']}"
        made = replace(made, notes=(note, *made.notes))
    return made


def _is_known(arch: str) -> bool:
    try:
        return bool(variants(arch))
    except XattnError:
        return False


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
    names = _need_classes(checkpoint, wanted, record, best.n_classes)
    notes = best.notes
    if wanted.classes is None:
        notes = (*notes, f"classes {', '.join(names)}: {record.sources['classes']}")
    return Made(
        best.make(), best.name, names, best.options, best.weights, notes, record, best.grey,
        best.size, best.guesses,
    )  # fmt: skip


def _misfit(checkpoint: Checkpoint, arch: str, best: Fit) -> str:
    channels = best.channels
    if channels is not None:
        return (
            f"Expected a network of 3 channels, or of 1, in {checkpoint.path}, but its first layer "
            f"takes {channels}; wrap a network that makes them of a colour image"
        )
    return (
        f"{checkpoint.path} does not fill {arch}: {best.match.describe()}"
        f"{suggest(checkpoint, besides=arch)}"
    )


def _torchscript(checkpoint: Checkpoint, wanted: Wanted, record: Record) -> Made:
    assert checkpoint.module is not None
    likely = wanted.arch or likely_architecture(checkpoint.state)
    if likely is None:
        # Predictions can still be made; asking for a map says why there is none.
        names = _need_classes(checkpoint, wanted, record, None)
        return Made(checkpoint.module, "torchscript", names, record=record)
    made = _fill(checkpoint, replace(wanted, arch=likely), record)
    _same_logits(
        checkpoint, made.module.eval(), made.size or published(made.name, made.module).size
    )
    return made


@torch.no_grad()
def _same_logits(checkpoint: Checkpoint, module: nn.Module, size: tuple[int, int]) -> None:
    assert checkpoint.module is not None
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        scripted = checkpoint.module.eval()(x)
    except RuntimeError as err:
        raise CheckpointError(
            f"Expected {checkpoint.path} to take inputs of {tuple(x.shape)} as its architecture "
            "does, but its forward raised; load the original module instead"
        ) from err
    if not isinstance(scripted, Tensor):
        raise CheckpointError(
            f"Expected logits from {checkpoint.path}, but it gives a {type(scripted).__name__}"
        )
    difference = float((scripted - module(x)).abs().max())
    if difference > 1e-3 * max(1.0, float(scripted.abs().max())):
        raise CheckpointError(
            f"The weights of {checkpoint.path} fit, but its logits differ by {difference:.2g}: it "
            "does something else than the architecture; load the original module instead"
        )


def _need_classes(
    checkpoint: Checkpoint, wanted: Wanted, record: Record, count: int | None
) -> list[str]:
    classes = wanted.classes
    if classes is None:
        named = record.values.get("classes")
        if named is not None and (count in (None, len(named)) or (count, len(named)) == (1, 2)):
            return list(named)
        shown = f"its {count} classes" if count else "its classes"
        shown = "the two classes of its one output, the negative first," if count == 1 else shown
        raise CheckpointError(
            f"Expected --classes with the names of {shown} for {checkpoint.path}, in the order of "
            "the logits, for instance --classes benign,malignant"
        )
    if count == 1:
        check_count(count, classes)  # two names for one logit
    elif not wanted.part and count is not None and len(classes) != count:
        raise CheckpointError(
            f"Expected {count} classes for {checkpoint.path}, but got {len(classes)}: "
            f"{', '.join(classes)}"
        )
    return list(classes)
