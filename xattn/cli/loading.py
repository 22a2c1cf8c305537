"""From the options of the command line to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def as_explained(
    settings: LoadSettings, ckpt: Sequence[Path], stored: Mapping[str, Any]
) -> tuple[LoadSettings, list[str]]:
    """Fill what is not said from the run that is there, if it is of the same file.

    Where to compute, and whether to run code from the file, are said anew each time.

    Args:
        settings: as said.
        ckpt: the checkpoints.
        stored: run.json, {} if there is none.

    Returns:
        The settings, and the names of those that were filled in.
    """
    from xattn.runs.record import file_sha256

    calls = [call for call in stored.get("calls", []) if call["command"] == "explain"]
    options = calls[-1]["model"]["options"] if calls else {}
    if len(ckpt) != 1 or not ckpt[0].is_file() or not options:
        return settings, []
    if file_sha256(ckpt[0]) != stored.get("checkpoint_sha256"):
        return settings, []
    before = settings.from_dict(options)
    anew = {*settings.changed(), "device", "unsafe_pickle"}
    filled = [name for name in before.changed() if name not in anew]
    return settings.with_values(**{name: getattr(before, name) for name in filled}), filled


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
