"""The record of a run: what made these maps, so that somebody else can make them again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from xattn.attribution.ensembles import goes_through
from xattn.attribution.registry import Method
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.errors import RunError
from xattn.images.preprocessing import Preprocessing
from xattn.models.averaging import Ensemble, ensemble
from xattn.models.checkpoints.programs import shows_no_layers
from xattn.models.interface import Model
from xattn.paths import joined, relative_to
from xattn.runs import RunFolder
from xattn.runs.calls import record_call
from xattn.runs.record import versions
from xattn.settings.load import LoadSettings

if TYPE_CHECKING:
    from xattn.annotations import Annotations

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow")
"""What maps depend on: their versions stand in the record of a run."""


def describe_run(
    model: Model, methods: Sequence[str], target: str, batch_size: int
) -> dict[str, Any]:
    """Return the settings of a run as run.json stores them."""
    source = model.source
    return {
        "schema": "xattn-run/1",
        **_source(model),
        "classes": model.classes,
        "outputs": model.outputs.kind,
        "output": model.outputs.output,
        "readout": {**model.outputs.to_dict(), "note": model.outputs_note},
        "preprocessing": model.preprocessing.to_dict(),
        "normalisation": source.get("normalisation"),
        "loading": source.get("notes", []),
        "methods": list(methods),
        "target": target,
        **_layers(model),
        # Files in the tables are named relative to the folder that holds the run folder.
        "base": "..",
        "batch_size": batch_size,
        "device": str(model.device),
        "versions": versions(*PACKAGES),
    }


def describe_ensemble(
    model: Ensemble, out: Path, jobs: Mapping[str, tuple[Method, int]]
) -> dict[str, Any]:
    """Return what run.json says of an ensemble: what is averaged, how maps are made, and of what.

    Args:
        model: the ensemble.
        out: the run folder.
        jobs: methods by the name under which their maps are stored.
    """
    return {
        "average": model.average,
        "maps": {
            name: "through the average" if goes_through(method, model)
            else "mean of the members' maps"
            for name, (method, _) in jobs.items()
        },
        "members": [
            {**_source(member), "preprocessing": member.preprocessing.to_dict(),
             "outputs": member.outputs.kind, "output": member.outputs.output,
             "target_layer": member.target_layer,
             "checkpoint_file": relative_checkpoint(member, out)}
            for member in model.members
        ],
    }  # fmt: skip


def _source(model: Model) -> dict[str, Any]:
    """Return what a model is and where it came from."""
    source = model.source
    return {
        "architecture": model.architecture,
        "options": model.options,
        "checkpoint": Path(source["path"]).name if "path" in source else None,
        "checkpoint_format": source.get("format", "in memory"),
        "checkpoint_sha256": source.get("sha256") or weights_sha256(model.module),
        "weights": source.get("weights", "raw"),
        "training": source.get("extra", {}),
    }


def _layers(model: Model) -> dict[str, Any]:
    """Return which layer is explained, and which attend; a network may show none."""
    if shows_no_layers(model.module) is not None:
        return {"target_layer": None, "target_grid": None, "attention_layers": []}
    return {
        "target_layer": model.target_layer,
        "target_grid": list(model.target_layout.grid),
        "attention_layers": [layer.name for layer in model.attention_layers],
    }


def relative_checkpoint(model: Model, out: Path) -> str | None:
    """Return where the checkpoint lies from the folder that holds the run; None if in memory."""
    path = model.source.get("path")
    if path is None:
        return None
    return relative_to(path, out.absolute().parent)


def describe_loading(model: Model, base: Path) -> dict[str, Any]:
    """Return how a model was loaded, as far as options of the command line can say it again.

    Args:
        model: any.
        base: folder that the checkpoint is named relative to.

    Returns:
        `checkpoint`, None of a model that was wrapped in memory; `options`, of `LoadSettings`;
        `in_python`, what was said that no option says; `words`, the options as the command line has
        them, None where it cannot.
    """
    asked = model.source.get("asked", LoadSettings())
    in_python = asked.unsaid()
    checkpoint: str | list[str] | None = None
    if isinstance(model, Ensemble):
        paths = [member.source.get("path") for member in model.members]
        if not model.source["asked_alike"]:
            in_python.append("how each member was loaded")
        checkpoint = [relative_to(str(path), base) for path in paths] if all(paths) else None
    elif (path := model.source.get("path")) is not None:
        if model.preprocessing != model.source["preprocessing"]:
            in_python.append("preprocessing")
        checkpoint = relative_to(path, base)
    return {
        "checkpoint": checkpoint,
        "options": asked.to_dict(base),
        "in_python": in_python,
        "words": None if in_python else asked.marked_words(base),
    }


def call_of(
    model: Model,
    sources: Sequence[str] | None,
    known: Annotations | None,
    out: Path,
    settings: ExplainSettings,
) -> dict[str, Any]:
    """Return the record of a call of `explain`.

    Args:
        model, sources, known, out, settings: of the call.
    """
    base = out.absolute().parent
    inputs = ExplainInputs(images=sources, annotations=None if known is None else known.path)
    loading = describe_loading(model, base)
    return record_call("explain", base, loading, inputs=inputs, settings=settings)


def model_of_run(run: RunFolder, device: str | torch.device = "auto") -> Model:
    """Load the model that made a run, as the run used it.

    Raises:
        RunError: the run does not say where its checkpoint is, or another file is there now.
        CheckpointError: the file cannot be loaded without a word from the user.
    """
    settings = run.settings
    together = settings.get("ensemble")
    if together is not None:
        members = [_loaded(run, one, device) for one in together["members"]]
        return ensemble(members, average=together["average"])
    model = _loaded(run, settings, device)
    if "outputs" not in settings and model.outputs.kind != "softmax":
        raise RunError(
            f"Expected logits in {run.path}, but its model gives probabilities, and the run was "
            "made before they were told apart; explain again into another folder"
        )
    return model


def _loaded(run: RunFolder, settings: Mapping[str, Any], device: str | torch.device) -> Model:
    """Load the model of a run, or a member of its ensemble."""
    from xattn.models import load

    way_out = "; name it with --ckpt, or pass the model"
    file = settings.get("checkpoint_file")
    if file is None:
        raise RunError(f"Expected the run {run.path} to name its checkpoint, but got none{way_out}")
    path = Path(os.path.normpath(joined(run.path.absolute() / run.settings["base"], file)))
    if not path.exists():  # a folder may hold it
        raise RunError(f"Expected the checkpoint of {run.path} at {path}, but got none{way_out}")
    model = load(
        path,
        arch=None if settings["checkpoint_format"] == "xattn" else settings["architecture"],
        classes=run.classes,
        preprocessing=Preprocessing.from_dict(settings["preprocessing"]),
        target_layer=settings["target_layer"],
        weights=settings.get("weights", "raw"),  # runs without a word were made of these
        # Runs of old took every output for a logit.
        outputs=settings.get("outputs", "softmax"),
        output=settings.get("output"),
        device=device,
    )
    if model.source["sha256"] != settings["checkpoint_sha256"]:
        raise RunError(
            f"Expected the checkpoint that made {run.path}, but got another at {path}{way_out}"
        )
    return model


def weights_sha256(module: nn.Module) -> str:
    """Hash the weights of a model that came from no file."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        # As bytes, for numpy knows no bfloat16; flat, for a scalar cannot be seen as bytes.
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
