"""From a checkpoint file to a `Model`: whatever the format, one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoint import Checkpoint, read_checkpoint
from xattn.models.interface import Model
from xattn.models.registry import build, variants
from xattn.models.state import (
    Match,
    compare,
    count_classes,
    likely_architecture,
    strip_prefixes,
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
        UsageError: the architecture's name is unknown.
    """
    checkpoint = read_checkpoint(path, unsafe_pickle=unsafe_pickle)
    source = {
        "path": str(path),
        "sha256": checkpoint.sha256,
        "format": checkpoint.format,
        "extra": checkpoint.facts.get("extra", {}),
    }
    module, name, options, names = _to_module(checkpoint, arch, classes)
    if preprocessing is None:
        stored = checkpoint.facts.get("preprocessing")
        preprocessing = Preprocessing.from_dict(stored) if stored else published(name, module)
    module.eval()
    module.to(device)
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
    config = getattr(module, "pretrained_cfg", None)
    if not name.startswith("torchvision/") and isinstance(config, dict) and "mean" in config:
        _, height, width = config.get("input_size", (3, 224, 224))
        return Preprocessing(
            size=(height, width),
            mode="crop",
            resize=int(min(height, width) / config.get("crop_pct", 0.875)),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation=config.get("interpolation", "bilinear"),
        )
    return Preprocessing(mode="crop", resize=256)


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
        state, _ = strip_prefixes(checkpoint.state)
        raise CheckpointError(
            f"Expected --arch for {checkpoint.path}, which holds weights without a name"
            f"{_suggest(state)}"
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


def _fill(
    checkpoint: Checkpoint, arch: str, classes: Sequence[str] | None
) -> tuple[nn.Module, str, list[str]]:
    """Build `arch`, in the library's variant whose keys fit best, and load the weights."""
    state, _ = strip_prefixes(checkpoint.state)
    best: tuple[Match, str] | None = None
    for name in variants(arch):
        with torch.device("meta"):
            skeleton = build(name, len(classes) if classes else 1000)
        n_classes = count_classes(state, skeleton) or (len(classes) if classes else 1000)
        with torch.device("meta"):
            skeleton = build(name, n_classes)
        match = compare(state, skeleton.state_dict())
        if best is None or match.agreeing > best[0].agreeing:
            best = match, name
            names_count = n_classes
    assert best is not None  # `variants` never returns an empty list
    match, name = best
    if not match.perfect:
        raise CheckpointError(
            f"{checkpoint.path} does not fill {arch}: {match.describe()}{_suggest(state)}"
        )
    names = _need_classes(checkpoint, classes, names_count)
    module = build(name, names_count)
    module.load_state_dict(state, strict=False)  # compared above; only batch counters may lack
    return module, name, names


def _torchscript(
    checkpoint: Checkpoint, arch: str | None, classes: Sequence[str] | None
) -> tuple[nn.Module, str, dict[str, Any], list[str]]:
    assert checkpoint.module is not None
    state, _ = strip_prefixes(checkpoint.state)
    likely = arch or likely_architecture(state)
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
    scripted: Tensor = checkpoint.module.eval()(x)
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
