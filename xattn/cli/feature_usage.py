"""`xattn feature-usage`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.core import ParameterSource

from xattn.analysis.settings import OverTrainingSettings, UsageInputs, UsageSettings
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.cli.from_settings import options_of, shared, taken
from xattn.cli.options import checkpoint_option, common, strict_option
from xattn.cli.terminal import Terminal
from xattn.cli.usage_tables import show_outputs, show_over_training, show_usage
from xattn.cli.value_types import FILE, PLACE
from xattn.errors import UsageError, XattnError
from xattn.settings import Settings
from xattn.settings.cluster import RaySettings
from xattn.settings.load import LoadSettings

if TYPE_CHECKING:
    from xattn.annotations import Annotations
    from xattn.models import Model
    from xattn.runs import RunFolder


@click.command("feature-usage")
@options_of(UsageInputs)
@click.option("--run", type=PLACE, help="Run folder; default the last one here.")
@checkpoint_option(
    required=False,
    more="several with --ensemble; without it several of one training, or their folder: usage "
    "over steps.",
)
@options_of(ExplainInputs, only=("images",))
@options_of(ExplainSettings, only=("methods",))
@options_of(UsageSettings, without=("workers",))
@click.option(
    "--recipe",
    type=FILE,
    help="Recipe of a study whose [bold]feature_usage[/] table holds where no option is given.",
)
@options_of(LoadSettings)
@options_of(ExplainSettings, only=("batch_size", "workers"))
@options_of(RaySettings)
@strict_option
@common
def command(
    run: Path | None,
    ckpt: tuple[Path, ...],
    recipe: Path | None,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Measure which features a model uses: maps against masks, dependence tests, bias gaps.

    Works on the run folder that `xattn explain` left here, or straight from --ckpt and --images,
    of which it makes the maps of --method first. With several checkpoints of one training: which
    features are used at each step, without maps unless --method names some.
    """
    from xattn.analysis.feature_usage import feature_usage
    from xattn.annotations import read_annotations
    from xattn.runs import RunFolder, last_run
    from xattn.runs.depth import lost_depth

    terminal = Terminal(quiet, as_json)
    if recipe:
        _fill(chosen, recipe)
    settings = taken(UsageSettings, chosen)
    inputs = taken(UsageInputs, chosen)
    known = read_annotations(inputs.annotations or "", on_problem=terminal.problem)
    together = taken(LoadSettings, chosen).ensemble is not None
    if not together and (len(ckpt) > 1 or any(path.is_dir() for path in ckpt)):
        _over_training(terminal, ckpt, known, run, chosen, settings)
        return 3 if strict and terminal.problems else 0
    model = None
    notes: list[str] = []
    if ckpt:
        folder, model = _explained(terminal, ckpt, known, run, chosen, notes)
    else:
        _require_used(chosen)
        folder = RunFolder.open(run) if run else last_run()
        model = _on_device(folder, taken(LoadSettings, chosen).device)
    with terminal.progress("feature usage") as progress:
        found = feature_usage(
            folder,
            known,
            model=model,
            settings=settings,
            engine=taken(RaySettings, chosen),
            progress=progress,
            on_note=notes.append,
        )
    if (lost := lost_depth(folder.predictions)) and lost not in notes:
        notes.append(lost)
    if found.sentence:
        terminal.say(found.sentence)
    if len(found.targets) > 1:
        show_outputs(terminal, found)
    else:
        show_usage(terminal, found.of(found.targets[0]) if found.targets else found)
    for note in notes:
        terminal.say(f"Note: {note}")
    page = shlex.join(["xattn", "report", str(folder.path)])
    terminal.say(f"Tables in {folder.path}; a page of them: {page}")
    terminal.summary(
        {
            "run": str(folder.path),
            "positive": found.positive or None,
            "targets": found.targets,
            "notes": notes,
            **{name: table.to_dict("records") for name, table in found.items()},
        }
    )
    return 3 if strict and (terminal.problems or lost) else 0


def _require_used(chosen: Mapping[str, Any]) -> None:
    """Refuse what a finished run has no use for.

    Raises:
        UsageError: an option says how images are explained, and there is no checkpoint to do so.
    """
    explaining: dict[type[Settings], list[str]] = {
        LoadSettings: [name for name in LoadSettings.options() if name != "device"],
        ExplainInputs: ["images"],
        ExplainSettings: ["methods", "batch_size"],
    }
    idle = [
        option.flags[0]
        for kind, names in explaining.items()
        for name, option in kind.options().items()
        if name in names and name in taken(kind, chosen).changed()
    ]
    if idle:
        raise UsageError(
            f"Expected --ckpt with {' and '.join(idle)}, but got a run that was explained "
            "already; leave the option out, or name the checkpoint"
        )


def _on_device(folder: RunFolder, device: str) -> Model | None:
    """Load the model of a run where it shall compute; None leaves that to whoever needs it."""
    from xattn.attribution.run.provenance import model_of_run

    if device == "auto":
        return None
    try:
        return model_of_run(folder, device)
    except XattnError:  # a note says why, if it would have been needed
        return None


def _fill(chosen: dict[str, Any], recipe: Path) -> None:
    """Put the values of a recipe in place of those that the command line leaves open."""
    from xattn.study.read_recipe import read_usage_part

    part, source = read_usage_part(recipe), click.get_current_context().get_parameter_source  # type: ignore[union-attr]
    for name in part.changed():
        place = part.options()[name].dest or name
        if source(place) == ParameterSource.DEFAULT:
            chosen[place] = getattr(part, name)


def _explained(
    terminal: Terminal,
    ckpt: tuple[Path, ...],
    known: Annotations,
    run: Path | None,
    chosen: Mapping[str, Any],
    notes: list[str],
) -> tuple[RunFolder, Model]:
    """Explain images with a checkpoint first; what is left open is as in the run that is there."""
    from xattn.attribution.run.on_ray import explain_on_ray, makes_run
    from xattn.attribution.run.pipeline import explain
    from xattn.attribution.run.resume import stored_settings
    from xattn.cli.loading import as_explained, load_model
    from xattn.runs.another_folder import folder_option
    from xattn.runs.folder import DEFAULT_RUN

    out = run or Path(DEFAULT_RUN)
    stored = stored_settings(out)
    loading, filled = as_explained(taken(LoadSettings, chosen), ckpt, stored)
    if filled:
        notes.append(f"{ckpt[0].name}: as in {out}: {', '.join(filled)}")
    model = load_model(ckpt, loading)
    target = stored.get("target") or chosen["tested_outputs"] or None
    # The precision is that of `feature-usage`, which leaves it open by default.
    settings = taken(ExplainSettings, chosen, target=target, overlay=None, exact=None)
    images, how = taken(ExplainInputs, chosen).images, taken(RaySettings, chosen)
    with terminal.progress("explain") as progress, folder_option("--run"):
        told: dict[str, Any] = {"progress": progress, "on_note": notes.append}
        if how.engine == "ray" and makes_run(out):
            folder = explain_on_ray(model, images, known, out, settings, how, **told)
        else:
            folder = explain(
                model,
                images,
                out=out,
                annotations=known,
                settings=settings,
                on_change=notes.append,
                **told,
            )
    return folder, model


def _over_training(
    terminal: Terminal,
    checkpoints: tuple[Path, ...],
    known: Annotations,
    run: Path | None,
    chosen: Mapping[str, Any],
    settings: UsageSettings,
) -> None:
    """Test every checkpoint of a training, and print what came of it."""
    from xattn.analysis.over_training import usage_over_training
    from xattn.cli.loading import load_model
    from xattn.runs.another_folder import folder_option
    from xattn.runs.folder import DEFAULT_RUN

    known_here, all_options = OverTrainingSettings.options(), settings.options()
    idle = [all_options[name].flags[0] for name in settings.changed() if name not in known_here]
    if taken(RaySettings, chosen).engine == "ray":
        idle.append("--engine ray")
    if idle:
        raise UsageError(
            f"Expected {' and '.join(idle)} with one checkpoint, but got {len(checkpoints)} or a "
            "folder of them, on which dependence alone is tested; leave it out"
        )
    explaining, loading = taken(ExplainSettings, chosen), taken(LoadSettings, chosen)
    out = run or Path(DEFAULT_RUN)
    with terminal.progress("explain") as progress, folder_option("--run"):
        table = usage_over_training(
            checkpoints,
            known,
            out,
            images=taken(ExplainInputs, chosen).images,
            load=lambda path: load_model(path, loading),
            settings=shared(
                OverTrainingSettings,
                settings,
                methods=explaining.methods or (),
                batch_size=explaining.batch_size,
            ),
            progress=progress,
        )
    show_over_training(terminal, table, out)
