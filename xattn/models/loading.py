"""From a checkpoint file to a `Model`: whatever the format, one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from xattn.addresses.mirror import MIRROR
from xattn.errors import CheckpointError, XattnError
from xattn.images.channels import COLOURS
from xattn.images.preprocessing import Preprocessing
from xattn.models.averaging import ensemble as ensemble_of
from xattn.models.checkpoints.checkpoint import Checkpoint, read_checkpoint
from xattn.models.checkpoints.hub import resolve
from xattn.models.checkpoints.own_format import read_preprocessing
from xattn.models.checkpoints.programs import shows_no_layers
from xattn.models.checkpoints.published import published, published_by
from xattn.models.device import resolve_device
from xattn.models.interface import Model, class_names
from xattn.models.matching.channels import of_channels, with_channels
from xattn.models.matching.coral import holds_coral, unrolled
from xattn.models.matching.network import Made, Wanted, make_network
from xattn.models.matching.one_channel import same_for_all
from xattn.models.probing.normalisation import inner_normalisation
from xattn.models.probing.ordinal import CUMULATIVE, ORDINAL
from xattn.models.probing.outputs import VALUE
from xattn.paths import as_path
from xattn.settings.load import Average, Colours, LoadSettings, Mode, Window

__all__ = ["load", "published"]

ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
"""Of files in a folder that stands for the members of an ensemble."""


def load(
    path: str | Path | Sequence[str | Path],
    *,
    arch: str | None = LoadSettings.arch,
    classes: Sequence[str] | None = LoadSettings.classes,
    preprocessing: Preprocessing | None = None,
    target_layer: str | None = LoadSettings.target_layer,
    unsafe_pickle: bool = LoadSettings.unsafe_pickle,
    weights: str | None = LoadSettings.weights,
    size: tuple[int, int] | None = LoadSettings.size,
    input_mode: Mode | None = LoadSettings.input_mode,
    mean: Colours | None = LoadSettings.mean,
    std: Colours | None = LoadSettings.std,
    interpolation: str | None = LoadSettings.interpolation,
    window: Window = LoadSettings.window,
    channels: int | None = LoadSettings.channels,
    device: str | torch.device = "cpu",
    outputs: str = LoadSettings.outputs,
    output: str | int | None = LoadSettings.output,
    ensemble: Average | None = LoadSettings.ensemble,
) -> Model:
    """Load a trained classifier.

    Formats: this project's own checkpoint (needs nothing else); a bare state dict, a safetensors
    file, or a framework's `{"state_dict": ...}` under any prefix (`arch` and `classes` needed,
    unless a record beside it names them); TorchScript (`classes` needed; its weights are moved
    into the architecture that `arch` names or its keys resemble, checked to give the same logits,
    because TorchScript shows no layers); a pickled module (`classes` and `unsafe_pickle` needed).
    A folder stands for the checkpoint in it; one of Hugging Face or timm needs nothing else where
    its `config.json` names network and classes.

    Args:
        path: the file, a folder that holds one, or a name as timm writes it, `hf-hub:NAME/NAME`
            or `local-dir:FOLDER`; with `ensemble` several of them, or a folder of files.
        arch: architecture name, see `xattn models`.
        classes: names in the order of the logits.
        preprocessing: how images become inputs; default as the checkpoint says, or a record beside
            it, else as the architecture was published (timm's record), else 224 x 224 centre
            crops.
        target_layer: path of the layer to explain; found by a probing forward if not given.
        unsafe_pickle: allow unpickling, which runs code from the file.
        weights: "ema" or "raw" where the file holds averaged weights beside the last ones, or the
            name of one of several sets ("teacher"). If not given, the averaged are taken, or the
            first of the sets that fit, and `source["notes"]` names the others.
        size: (height, width) of the input in pixels; networks that are built for one size get
            their position embeddings resampled.
        input_mode: "squash" resamples the whole image, "crop" scales the shorter side and crops.
        mean: of the normalisation, per channel, of values in [0, 1].
        std: standard deviation of the normalisation, likewise.
        interpolation: "bilinear", "bicubic", "lanczos" or "nearest".
        window: (low, high), what becomes black and white, of images deeper than 8 bits, or "auto".
            This and the five before it take precedence over what the checkpoint or
            `preprocessing` says.
        channels: how many the network takes, for one that does not show its first layer; found
            from that otherwise.
        device: where the model goes: a device of torch, or "auto".
        outputs: what the model's outputs are, "softmax" for logits of classes that exclude each
            other, "sigmoid" for logits of independent findings, "probabilities", "value" for
            numbers that are measured (a regression), "ordinal" or "corn" for thresholds between
            ordered classes, or "auto": as the checkpoint says, or found by probing. One logit has
            two classes, the negative named first; one value has one name, by default "value".
        output: which part of what the model returns is meant, by key or index.
        ensemble: average several checkpoints, their "probabilities" or their "logits"; all else
            that is said is said of each. See `ensemble`.

    Returns:
        The model. Its `source["notes"]` says, a line each, what was guessed, changed or left out;
        `source["guesses"]` those that an option could have said; `source["normalisation"]` where
        mean and standard deviation are from.

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
    if ensemble is not None:
        return _ensemble(
            path, ensemble, arch=arch, classes=classes, preprocessing=preprocessing,
            target_layer=target_layer, unsafe_pickle=unsafe_pickle, weights=weights, size=size,
            input_mode=input_mode, mean=mean, std=std, interpolation=interpolation, window=window,
            channels=channels, device=device, outputs=outputs, output=output,
        )  # fmt: skip
    path = resolve(as_path(path, "a checkpoint", "; xattn.wrap takes networks in memory"))
    classes = None if classes is None else class_names(classes)
    where = resolve_device("auto") if device == "auto" else torch.device(device)
    asked = LoadSettings(
        arch=arch, classes=classes, target_layer=target_layer, unsafe_pickle=unsafe_pickle,
        weights=weights, size=size, input_mode=input_mode, mean=mean, std=std,
        interpolation=interpolation, window=window, channels=channels, outputs=outputs,
        output=output,
        device="auto" if device == "auto" else where.type,
    )  # fmt: skip
    if size is None and preprocessing is not None:
        size = preprocessing.size
    # Weights that are read under the caller's inference mode could never be differentiated.
    MIRROR.fetch_in(path)
    with torch.inference_mode(False):
        checkpoint = read_checkpoint(path, unsafe_pickle=unsafe_pickle)
        coral = holds_coral(checkpoint)
        ordinal = outputs in ORDINAL or (coral and outputs == "auto")
        wanted = Wanted(arch, classes, weights, size, output is not None, outputs == VALUE, ordinal)
        made = make_network(unrolled(checkpoint) if coral else checkpoint, wanted)
        made.module.eval()
        made.module.to(where)
    if preprocessing is None:
        found, normalisation, told = _preprocessing(checkpoint, made)
        found = found if size is None else found.at(size)
    else:
        found, normalisation, told = preprocessing, "the call", True
        found = of_channels(found, _channels(made, asked))
    found, unknown = _as_asked(found, asked, _channels(made, asked))
    guesses = list(made.guesses)
    if unknown:
        told, normalisation = False, f"none, for nothing says those of {found.channels} channels"
    if not told and (mean is None or std is None):
        guesses.append(f"mean and std: {_normalisation(normalisation, asked)}")
    said = CUMULATIVE if coral else _said(checkpoint, made)
    source = {
        "path": str(path),
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "extra": checkpoint.facts.get("extra", {}),
        "weights": made.weights,
        "normalisation": _normalisation(normalisation, asked),
        "notes": list(made.notes),
        "guesses": guesses,
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
        outputs=said if outputs == "auto" else outputs,
        output=output,
    )


def _ensemble(path: str | Path | Sequence[str | Path], average: Average, **said: Any) -> Model:
    """Load several checkpoints and average them."""
    given = [path] if isinstance(path, str | Path) else list(path)
    places = [as_path(one, "a checkpoint") for one in given]
    files = [file for place in places for file in _members(place, alone=len(given) == 1)]
    return ensemble_of([load(file, **said) for file in files], average=average)


def _members(path: Path, *, alone: bool) -> list[Path]:
    """Return the checkpoints that a path stands for: if it is the only one, all in its folder."""
    if not (alone and path.is_dir()):
        return [path]
    return sorted(one for one in path.iterdir() if one.suffix in ENDINGS) or [path]


def _channels(made: Made, asked: LoadSettings) -> int:
    """Return the channels of the network's inputs.

    Raises:
        CheckpointError: the user says otherwise than its first layer.
    """
    if asked.channels in (None, 1, made.channels) and (asked.channels != 1 or made.grey):
        return made.channels
    if made.channels == COLOURS and not made.grey and shows_no_layers(made.module):
        assert asked.channels is not None
        return asked.channels  # nothing is known of it
    found = 1 if made.grey else made.channels
    raise CheckpointError(
        f"Expected a network of {asked.channels} channels, as --channels says, but its first "
        f"layer takes {found}; leave --channels out"
    )


def _as_asked(
    found: Preprocessing, asked: LoadSettings, channels: int
) -> tuple[Preprocessing, bool]:
    """Return how images become inputs, what is said before what was found; and what is a guess."""
    if asked.input_mode is not None:
        found = found.at(found.size, asked.input_mode)
    said = {
        name: value
        for name in ("interpolation", "window")
        if (value := getattr(asked, name)) is not None
    }
    found, guessed = with_channels(found, channels, mean=asked.mean, std=asked.std)
    return replace(found, **said), guessed


def _normalisation(found: str, asked: LoadSettings) -> str:
    """Return who says what mean and standard deviation are: the call, else `found`."""
    said = [f"--{name}" for name in ("mean", "std") if getattr(asked, name) is not None]
    if len(said) == 2:
        return " and ".join(said)
    return f"{said[0]}, else {found}" if said else found


def _said(checkpoint: Checkpoint, made: Made) -> str:
    """Return what a checkpoint or its record says of its outputs; an own one is of classes else."""
    own = "softmax" if checkpoint.format == "xattn" else made.record.values.get("outputs", "auto")
    return str(checkpoint.facts.get("outputs", own))


def _preprocessing(checkpoint: Checkpoint, made: Made) -> tuple[Preprocessing, str, bool]:
    """Return how images become inputs, who says mean and deviation, and if it is of this network.

    What an architecture was published with need not be what this training used.
    """
    stored = checkpoint.facts.get("preprocessing")
    if stored:
        return read_preprocessing(stored, checkpoint.path), "the checkpoint", True
    if made.preprocessing is not None:
        found, source = made.preprocessing
        return found, source, True  # what is the package's default is among the guesses
    base, source = published_by(made.name, made.module)
    record = made.record
    if made.size is not None:  # it takes no other, whatever the record says
        record = replace(record, values={**record.values, "size": made.size})
    try:
        found = record.apply(base)
    except XattnError as err:
        raise CheckpointError(f"The record of {checkpoint.path} cannot be applied: {err}") from err
    inside = inner_normalisation(made.module, found.size) if checkpoint.format == "pickle" else None
    if inside is not None:
        found = replace(found, mean=(0.0, 0.0, 0.0), std=inside[0])
        return found, f"the network, which normalises inside ({inside[1]})", True
    if made.grey:
        found = replace(found, mean=same_for_all(found.mean), std=same_for_all(found.std))
    return found, record.sources.get("mean", source), "mean" in record.sources
