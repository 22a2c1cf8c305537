"""From a checkpoint file to a `Model`: whatever the format, one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoint import Checkpoint, read_checkpoint
from xattn.models.interface import Model, class_names
from xattn.models.registry import build, variants
from xattn.models.state import (
    Match,
    best_reading,
    compare,
    count_classes,
    likely_architecture,
)


def load(
    path: str | Path,
    *,
    arch: str | None = None,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    target_layer: str | None = None,
    unsafe_pickle: bool = False,
    device: str | torch.device = "cpu",
) -> Model:
    """Load a trained classifier.

    Formats: this project's own checkpoint (needs nothing else); a bare state dict, a safetensors
    file, or a framework's `{"state_dict": ...}` with prefixes (`arch` and `classes` needed);
    TorchScript (`classes` needed; its weights are moved into the architecture that `arch` names
    or its keys resemble, checked to give the same logits, because TorchScript shows no layers);
    a pickled module (`classes` and `unsafe_pickle` needed).

    Args:
        path: the file.
        arch: architecture name, see `xattn models`.
        classes: names in the order of the logits.
        preprocessing: how images become inputs; default as the checkpoint says, else as the
            architecture was published (timm's record), else 224 x 224 centre crops.
        target_layer: path of the layer to explain; found by a probing forward if not given.
        unsafe_pickle: allow unpickling, which runs code from the file.
        device: where the model goes.

    Raises:
        CheckpointError: the file, the architecture and the classes do not fit together; the
            message names the keys, and the architecture that would fit.
        UsageError: the architecture's name is unknown, or a class is named twice.
    """
    classes = None if classes is None else class_names(classes)
    # Weights that are read under the caller's inference mode could never be differentiated.
    with torch.inference_mode(False):
        checkpoint = read_checkpoint(path, unsafe_pickle=unsafe_pickle)
        module, name, options, names = _to_module(checkpoint, arch, classes)
        module.eval()
        module.to(device)
    source = {
        "path": str(path),
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "extra": checkpoint.facts.get("extra", {}),
    }
    if preprocessing is None:
        stored = checkpoint.facts.get("preprocessing")
        preprocessing = Preprocessing.from_dict(stored) if stored else published(name, module)
    return Model(
        module,
        names,
        preprocessing,
        architecture=name,
        options=options,
        target_layer=target_layer,
        source=source,
    )


def published(name: str, module: nn.Module) -> Preprocessing:
    """Return the preprocessing an architecture was published with, as far as it is recorded."""
    library, _, bare = name.rpartition("/")
    config = getattr(module, "pretrained_cfg", None)
    if library == "torchvision":
        return _published_by_torchvision(bare)
    if isinstance(config, dict) and "mean" in config:
        return _published_by_timm(config)
    return Preprocessing(mode="crop", resize=256)


def _published_by_timm(config: dict[str, Any]) -> Preprocessing:
    _, height, width = config.get("input_size", (3, 224, 224))
    # timm scales to an oblong before an oblong crop, which is nearer to a squash.
    squash = config.get("crop_mode") == "squash" or height != width
    resize = max(int(height / config.get("crop_pct", 0.875)), height)
    return Preprocessing(
        size=(height, width),
        mode="squash" if squash else "crop",
        resize=None if squash else resize,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config.get("interpolation", "bilinear"),
    )


def _published_by_torchvision(name: str) -> Preprocessing:
    """Read off the architecture's first published weights."""
    import torchvision

    first = next(iter(torchvision.models.get_model_weights(name)))
    recorded = first.transforms()
    (size,), (resize,) = recorded.crop_size, recorded.resize_size
    return Preprocessing(
        size=(size, size),
        mode="crop",
        resize=resize,
        mean=tuple(recorded.mean),
        std=tuple(recorded.std),
        interpolation=recorded.interpolation.value,
    )


def _to_module(
    checkpoint: Checkpoint, arch: str | None, classes: Sequence[str] | None
) -> tuple[nn.Module, str, dict[str, Any], list[str]]:
    if checkpoint.format == "xattn":
        return _own(checkpoint, arch, classes)
    if checkpoint.format == "pickle":
        assert checkpoint.module is not None
        return checkpoint.module, arch or "custom", {}, _need_classes(checkpoint, classes, None)
    if checkpoint.format == "torchscript":
        return _torchscript(checkpoint, arch, classes)
    if arch is None:
        raise CheckpointError(
            f"Expected --arch for {checkpoint.path}, which holds weights without a name"
            f"{_suggest(checkpoint.state)}"
        )
    module, name, names = _fill(checkpoint, arch, classes)
    return module, name, {}, names


def _own(
    checkpoint: Checkpoint, arch: str | None, classes: Sequence[str] | None
) -> tuple[nn.Module, str, dict[str, Any], list[str]]:
    facts = checkpoint.facts
    name, names, options = facts["architecture"], list(facts["classes"]), facts["options"]
    if arch is not None and arch != name:
        raise CheckpointError(f"Expected --arch {name} as {checkpoint.path} says, but got {arch}")
    if classes is not None and list(classes) != names:
        raise CheckpointError(
            f"Expected the classes {', '.join(names)} as {checkpoint.path} says, but got "
            f"{', '.join(classes)}; leave --classes out"
        )
    module = build(name, len(names), **options)
    match = compare(checkpoint.state, module.state_dict())
    if not match.perfect:
        raise CheckpointError(f"{checkpoint.path} does not fill {name}: {match.describe()}")
    module.load_state_dict(checkpoint.state)
    return module, name, options, names


@dataclass(frozen=True)
class _Fit:
    """How a checkpoint fits one library's variant of an architecture."""

    name: str
    state: dict[str, Tensor]
    n_classes: int
    match: Match


def _fill(
    checkpoint: Checkpoint, arch: str, classes: Sequence[str] | None
) -> tuple[nn.Module, str, list[str]]:
    """Build `arch`, in the library's variant whose keys fit best, and load the weights."""
    n = len(classes) if classes else 1000
    fits = [_fit(checkpoint.state, name, n) for name in variants(arch)]
    best = max(fits, key=lambda fit: fit.match.agreeing)
    if not best.match.perfect:
        raise CheckpointError(
            f"{checkpoint.path} does not fill {arch}: {best.match.describe()}"
            f"{_suggest(checkpoint.state)}"
        )
    names = _need_classes(checkpoint, classes, best.n_classes)
    module = build(best.name, best.n_classes)
    module.load_state_dict(best.state, strict=False)  # compared above; batch counters may lack
    return module, best.name, names


def _fit(state: dict[str, Tensor], name: str, n_classes: int) -> _Fit:
    """Compare a state dict with an architecture of as many classes as it holds itself."""
    skeleton = _skeleton(name, n_classes)
    reading = best_reading(state, skeleton.state_dict())
    held = count_classes(reading, skeleton)
    if held and held != n_classes:
        n_classes, skeleton = held, _skeleton(name, held)
    return _Fit(name, reading, n_classes, compare(reading, skeleton.state_dict()))


def _skeleton(name: str, n_classes: int) -> nn.Module:
    with torch.device("meta"):  # shapes only: no memory, no initialisation
        return build(name, n_classes)


def _torchscript(
    checkpoint: Checkpoint, arch: str | None, classes: Sequence[str] | None
) -> tuple[nn.Module, str, dict[str, Any], list[str]]:
    assert checkpoint.module is not None
    likely = arch or likely_architecture(checkpoint.state)
    if likely is None:
        # Predictions can still be made; asking for a map says why there is none.
        return checkpoint.module, "torchscript", {}, _need_classes(checkpoint, classes, None)
    module, name, names = _fill(checkpoint, likely, classes)
    _same_logits(checkpoint, module.eval(), published(name, module).size)
    return module, name, {}, names


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
    checkpoint: Checkpoint, classes: Sequence[str] | None, count: int | None
) -> list[str]:
    if classes is None:
        shown = f"its {count} classes" if count else "its classes"
        raise CheckpointError(
            f"Expected --classes with the names of {shown} for {checkpoint.path}, in the order of "
            "the logits, for instance --classes benign,malignant"
        )
    if count is not None and len(classes) != count:
        raise CheckpointError(
            f"Expected {count} classes for {checkpoint.path}, but got {len(classes)}: "
            f"{', '.join(classes)}"
        )
    return list(classes)


def _suggest(state: dict[str, Tensor]) -> str:
    likely = likely_architecture(state)
    return f"; its keys look like --arch {likely}" if likely else ""
