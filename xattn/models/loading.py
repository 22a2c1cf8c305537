"""From a checkpoint file to a `Model`: whatever the format, one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError, XattnError
from xattn.images.preprocessing import Preprocessing
from xattn.models.architectures.allowed_options import check_options
from xattn.models.architectures.registry import build, variants
from xattn.models.checkpoints.checkpoint import Checkpoint, read_checkpoint
from xattn.models.checkpoints.own_format import read_preprocessing
from xattn.models.checkpoints.records import Record, find_record, published, published_by
from xattn.models.device import resolve_device
from xattn.models.interface import Model, class_names
from xattn.models.matching.candidates import suggest
from xattn.models.matching.fitting import Fit, fit
from xattn.models.matching.inception import has_auxiliary
from xattn.models.matching.one_channel import NOTE as GREY
from xattn.models.matching.one_channel import widen_module
from xattn.models.matching.state import likely_architecture, match_state, skeleton
from xattn.models.probing.find_outputs import check_count
from xattn.paths import as_path
from xattn.settings.load import Colours, Kind, LoadSettings, Mode, Window

__all__ = ["load", "published"]


def load(
    path: str | Path,
    *,
    arch: str | None = LoadSettings.arch,
    classes: Sequence[str] | None = LoadSettings.classes,
    preprocessing: Preprocessing | None = None,
    target_layer: str | None = LoadSettings.target_layer,
    unsafe_pickle: bool = LoadSettings.unsafe_pickle,
    weights: Kind | None = LoadSettings.weights,
    size: tuple[int, int] | None = LoadSettings.size,
    input_mode: Mode | None = LoadSettings.input_mode,
    mean: Colours | None = LoadSettings.mean,
    std: Colours | None = LoadSettings.std,
    interpolation: str | None = LoadSettings.interpolation,
    window: Window = LoadSettings.window,
    device: str | torch.device = "cpu",
    outputs: str = LoadSettings.outputs,
    output: str | int | None = LoadSettings.output,
) -> Model:
    """Load a trained classifier.

    Formats: this project's own checkpoint (needs nothing else); a bare state dict, a safetensors
    file, or a framework's `{"state_dict": ...}` under any prefix (`arch` and `classes` needed,
    unless a record beside it names them); TorchScript (`classes` needed; its weights are moved
    into the architecture that `arch` names or its keys resemble, checked to give the same logits,
    because TorchScript shows no layers); a pickled module (`classes` and `unsafe_pickle` needed).
    A folder stands for the checkpoint in it.

    Args:
        path: the file, or a folder that holds one.
        arch: architecture name, see `xattn models`.
        classes: names in the order of the logits.
        preprocessing: how images become inputs; default as the checkpoint says, or a record beside
            it, else as the architecture was published (timm's record), else 224 x 224 centre
            crops.
        target_layer: path of the layer to explain; found by a probing forward if not given.
        unsafe_pickle: allow unpickling, which runs code from the file.
        weights: "ema" or "raw" where the file holds averaged weights beside the last ones; the
            averaged are taken if not given.
        size: (height, width) of the input in pixels; networks that are built for one size get
            their position embeddings resampled.
        input_mode: "squash" resamples the whole image, "crop" scales the shorter side and crops.
        mean, std: of the normalisation, per channel, of values in [0, 1].
        interpolation: "bilinear", "bicubic", "lanczos" or "nearest".
        window: (low, high), what becomes black and white, of images deeper than 8 bits, or "auto".
            This and the four before it take precedence over what the checkpoint or
            `preprocessing` says.
        device: where the model goes: a device of torch, or "auto".
        outputs: what the model's outputs are, "softmax" for logits of classes that exclude each
            other, "sigmoid" for logits of independent findings, "probabilities", or "auto": as
            the checkpoint says, or found by probing. One logit has two classes, the negative
            named first.
        output: which part of what the model returns is meant, by key or index.

    Returns:
        The model. Its `source["notes"]` says, a line each, what was guessed, changed or left out;
        `source["normalisation"]` where mean and standard deviation are from.

    Raises:
        CheckpointError: the file, the architecture and the classes do not fit together; the
            message names the keys, and the architectures that would fit.
        UsageError: the architecture's name is unknown, or a class is named twice.

    Examples:
        A state dict knows neither architecture nor classes; a checkpoint of `xattn train` does.

        >>> xattn.load("r18.pt", arch="resnet18", classes=["benign", "malignant"])
        <xattn.Model resnet18, 2 classes, 224 x 224>
        >>> xattn.load("model.pt").target_layer
        'layer4'
    """
    as_path(path, "a checkpoint", "; xattn.wrap takes networks in memory")
    classes = None if classes is None else class_names(classes)
    where = resolve_device("auto") if device == "auto" else torch.device(device)
    asked = LoadSettings(
        arch=arch, classes=classes, target_layer=target_layer, unsafe_pickle=unsafe_pickle,
        weights=weights, size=size, input_mode=input_mode, mean=mean, std=std,
        interpolation=interpolation, window=window, outputs=outputs, output=output,
        device="auto" if device == "auto" else where.type,
    )  # fmt: skip
    if size is None and preprocessing is not None:
        size = preprocessing.size
    # Weights that are read under the caller's inference mode could never be differentiated.
    with torch.inference_mode(False):
        checkpoint = read_checkpoint(path, unsafe_pickle=unsafe_pickle)
        made = _make(checkpoint, _Wanted(arch, classes, weights, size, output is not None))
        made.module.eval()
        made.module.to(where)
    if preprocessing is None:
        found, normalisation = _preprocessing(checkpoint, made)
        found = found if size is None else found.at(size)
    else:
        found, normalisation = preprocessing, "the call"
    found = _as_asked(found, asked)
    source = {
        "path": str(path),
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "extra": checkpoint.facts.get("extra", {}),
        "weights": made.weights,
        "normalisation": _normalisation(normalisation, asked),
        "notes": list(made.notes),
        # What options of the command line can say again, and whether that is all.
        "asked": asked,
        "preprocessing": found if preprocessing is None else None,
    }
    return Model(
        made.module,
        made.classes,
        found,
        architecture=made.name,
        options=made.options,
        target_layer=target_layer,
        source=source,
        outputs=_said(checkpoint, made) if outputs == "auto" else outputs,
        output=output,
    )


def _as_asked(found: Preprocessing, asked: LoadSettings) -> Preprocessing:
    """Return how images become inputs: what was found, but for what is said otherwise."""
    if asked.input_mode is not None:
        found = found.at(found.size, asked.input_mode)
    said = {
        name: value
        for name in ("mean", "std", "interpolation", "window")
        if (value := getattr(asked, name)) is not None
    }
    return replace(found, **said)


def _normalisation(found: str, asked: LoadSettings) -> str:
    """Return who says what mean and standard deviation are: the call, else `found`."""
    said = [f"--{name}" for name in ("mean", "std") if getattr(asked, name) is not None]
    if len(said) == 2:
        return " and ".join(said)
    return f"{said[0]}, else {found}" if said else found


def _said(checkpoint: Checkpoint, made: _Made) -> str:
    """Return what a checkpoint or its record says of its outputs; this project trains classes."""
    own = "softmax" if checkpoint.format == "xattn" else made.record.values.get("outputs", "auto")
    return str(checkpoint.facts.get("outputs", own))


@dataclass(frozen=True)
class _Wanted:
    """What the caller says about a checkpoint."""

    arch: str | None
    classes: Sequence[str] | None
    weights: Kind | None
    size: tuple[int, int] | None
    part: bool = False  # of the outputs is meant: they are more than the classes


@dataclass(frozen=True)
class _Made:
    """A network made of a checkpoint, and what is known about it."""

    module: nn.Module
    name: str
    classes: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    weights: Kind = "raw"
    notes: tuple[str, ...] = ()
    record: Record = field(default_factory=Record)
    grey: bool = False
    size: tuple[int, int] | None = None


def _preprocessing(checkpoint: Checkpoint, made: _Made) -> tuple[Preprocessing, str]:
    """Return how images become inputs, and who says what mean and standard deviation are."""
    stored = checkpoint.facts.get("preprocessing")
    if stored:
        return read_preprocessing(stored, checkpoint.path), "the checkpoint"
    base, source = published_by(made.name, made.module)
    record = made.record
    if made.size is not None:  # it takes no other, whatever the record says
        record = replace(record, values={**record.values, "size": made.size})
    try:
        found = record.apply(base)
    except XattnError as err:
        raise CheckpointError(f"The record of {checkpoint.path} cannot be applied: {err}") from err
    if made.grey:
        found = replace(found, mean=_same(found.mean), std=_same(found.std))
    return found, record.sources.get("mean", source)


def _same(values: tuple[float, float, float]) -> tuple[float, float, float]:
    """Give all channels their mean, as timm does for networks of one channel."""
    mean = sum(values) / len(values)
    return mean, mean, mean


def _make(checkpoint: Checkpoint, wanted: _Wanted) -> _Made:
    if checkpoint.format == "xattn":
        return _own(checkpoint, wanted)
    record = find_record(checkpoint, wanted.arch)
    if checkpoint.format == "pickle":
        assert checkpoint.module is not None
        names, name = _need_classes(checkpoint, wanted, record, None), wanted.arch or "custom"
        size = wanted.size or record.apply(published(name, checkpoint.module)).size
        grey = widen_module(checkpoint.module, size)
        notes = (GREY,) if grey else ()
        return _Made(checkpoint.module, name, names, notes=notes, record=record, grey=grey)
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


def _own(checkpoint: Checkpoint, wanted: _Wanted) -> _Made:
    facts, arch, classes = checkpoint.facts, wanted.arch, wanted.classes
    name, names, options = facts["architecture"], list(facts["classes"]), facts["options"]
    if arch is not None and arch != name:
        raise CheckpointError(f"Expected --arch {name} as {checkpoint.path} says, but got {arch}")
    if classes is not None and list(classes) != names:
        raise CheckpointError(
            f"Expected the classes {', '.join(names)} as {checkpoint.path} says, but got "
            f"{', '.join(classes)}; leave --classes out"
        )
    if wanted.weights == "ema":
        raise CheckpointError(
            f"Expected averaged weights in {checkpoint.path} for --weights ema, but got none"
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
    return _Made(module, name, names, options)


def _fill(checkpoint: Checkpoint, wanted: _Wanted, record: Record) -> _Made:
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
    return _Made(
        best.make(), best.name, names, best.options, best.weights, notes, record, best.grey,
        best.size,
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


def _torchscript(checkpoint: Checkpoint, wanted: _Wanted, record: Record) -> _Made:
    assert checkpoint.module is not None
    likely = wanted.arch or likely_architecture(checkpoint.state)
    if likely is None:
        # Predictions can still be made; asking for a map says why there is none.
        names = _need_classes(checkpoint, wanted, record, None)
        return _Made(checkpoint.module, "torchscript", names, record=record)
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
    checkpoint: Checkpoint, wanted: _Wanted, record: Record, count: int | None
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
