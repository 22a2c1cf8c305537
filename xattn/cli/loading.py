"""From the options of the command line to a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn.cli.text import visible

if TYPE_CHECKING:
    from xattn.models import Model

Colours = tuple[float, float, float]


def load_model(
    ckpt: Path,
    arch: str | None,
    classes: str | None,
    size: tuple[int, int] | None,
    input_mode: str | None,
    mean: Colours | None,
    std: Colours | None,
    interpolation: str | None,
    window: Any,
    weights: Any,
    target_layer: str | None,
    unsafe_pickle: bool,
    device: str,
    outputs: str,
    output: str | None,
) -> Model:
    """Load a checkpoint as the shared options say, and tell what was guessed for it."""
    from xattn.models import load
    from xattn.models.device import resolve_device

    names = [c.strip() for c in classes.split(",")] if classes else None
    model = load(
        ckpt,
        arch=arch,
        classes=names,
        target_layer=target_layer,
        unsafe_pickle=unsafe_pickle,
        weights=weights,
        size=size,
        device=resolve_device(device),
        outputs=outputs,
        output=output,
    )
    changed = {"mean": mean, "std": std, "interpolation": interpolation, "window": window}
    model.preprocessing = replace(
        _changed(model.preprocessing, size, input_mode),
        **{name: value for name, value in changed.items() if value is not None},
    )
    said = [name for name in ("mean", "std") if changed[name] is not None]
    if said:
        options = " and ".join(f"--{name}" for name in said)
        model.source["normalisation"] = (
            options if len(said) == 2 else f"{options}, else {model.source['normalisation']}"
        )
    _tell(model)
    return model


def _tell(model: Model) -> None:
    """Say what was guessed, changed or left out, once a command."""
    context = click.get_current_context(silent=True)
    if context is None or context.params.get("quiet"):
        return
    notes = list(model.source["notes"])
    if model.source["format"] != "xattn" or model.source["normalisation"] != "the checkpoint":
        notes.append(f"mean and std: {model.source['normalisation']}")
    told: set[str] = context.meta.setdefault("xattn.loading", set())
    for note in notes:
        if note not in told:
            told.add(note)
            line = f"Note: {Path(model.source['path']).name}: {note}"
            click.echo(visible(line), err=True)


def _changed(preprocessing: Any, size: tuple[int, int] | None, mode: str | None) -> Any:
    """Apply --size and --input-mode."""
    if size is None and mode is None:
        return preprocessing
    return preprocessing.at(size or preprocessing.size, mode)
