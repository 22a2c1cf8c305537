"""From the options of the command line to a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from xattn.cli.text import visible
from xattn.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from xattn.models import Model
    from xattn.settings.load import LoadSettings


def load_model(ckpt: Path | Sequence[Path], settings: LoadSettings) -> Model:
    """Load a checkpoint as the options say, or average several, and tell what was guessed.

    Raises:
        UsageError: there are several, and nothing says that they are to be averaged.
    """
    from xattn.models import load

    paths = [ckpt] if isinstance(ckpt, Path) else list(ckpt)
    if settings.ensemble is None and len(paths) > 1:
        raise UsageError(f"Expected one checkpoint, but got {len(paths)}; --ensemble averages them")
    model = load(paths if settings.ensemble else paths[0], **vars(settings))
    for one in model.members or (model,):
        _tell(one)
    return model


def _tell(model: Model) -> None:
    """Say what was guessed, changed or left out, once a command; with --strict a guess is an error.

    Raises:
        CheckpointError: something was guessed that an option can say, and the command is strict.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("strict") and model.source["guesses"]:
        raise CheckpointError(
            f"Expected nothing to guess for {model.source['path']} with --strict, but got: "
            f"{'; '.join(model.source['guesses'])}; say it by --mean, --std or --weights"
        )
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
