"""`xattn search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from xattn.cli.options import common, device_option, seed_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import FILE, PLACE

if TYPE_CHECKING:
    from xattn.training.search.search import SearchResult
    from xattn.training.search.trials import Trial


@click.command("search")
@click.argument("recipe", type=FILE)
@click.option("--annotations", type=FILE, required=True, help="Images and labels.")
@click.option("--out", type=PLACE, required=True, help="Folder of the search, new or to go on.")
@click.option("--images", type=PLACE, help="Only the images found here, by id.")
@click.option("--splits", type=FILE, help="splits.csv of a training, to use the same.")
@click.option("--trials", type=click.IntRange(1), help="Trials in all; default: the recipe's.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs per trial; default: the recipe's.")
@click.option("--timeout", type=click.FloatRange(0), help="Seconds after which to stop.")
@device_option
@seed_option
@common
def command(
    recipe: Path,
    annotations: Path,
    out: Path,
    images: Path | None,
    splits: Path | None,
    trials: int | None,
    epochs: int | None,
    timeout: float | None,
    device: str,
    seed: int,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Search the values that a recipe leaves open; repeat the command to go on or to help."""
    from xattn.figures.paper.search_history import save_search_figures
    from xattn.runs.locks import held
    from xattn.training.search.search import search

    terminal = Terminal(quiet, as_json)
    result = search(
        recipe,
        annotations,
        out,
        images=images,
        splits=splits,
        trials=trials,
        epochs=epochs,
        timeout=timeout,
        seed=seed,
        device=device,
        progress=not (quiet or as_json),
        on_trial=lambda trial: terminal.say(_line(trial)),
        on_problem=terminal.problem,
        on_note=lambda note: terminal.say(f"note: {note}"),
    )
    with held(out / ".locks" / "figures"):  # others may end their part at the same time
        figures = save_search_figures(out)
    terminal.say(_verdict(result))
    terminal.summary(
        {
            "best": None if result.best is None else dict(result.best.values),
            "value": None if result.best is None else result.best.value,
            "recipe": result.recipe,
            "trials": len(result.trials),
            "figures": [str(path) for path in figures],
        }
    )


def _line(trial: Trial) -> str:
    values = ", ".join(f"{key} {_short(value)}" for key, value in trial.values.items())
    value = "" if trial.value is None else f" {trial.value:.3f}"
    return f"trial {trial.number}: {trial.state}{value} ({values})"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _verdict(result: SearchResult) -> str:
    left = sum(trial.state == "running" for trial in result.trials)
    rest = f"; {left} unfinished, repeat the command to go on" if left else ""
    if result.best is None:
        return f"No trial has come to its end yet{rest}"
    complete = sum(trial.state == "complete" for trial in result.trials)
    return (
        f"{result.recipe}: trial {result.best.number}, {result.best.value:.3f} on the validation "
        f"images, the best of {len(result.trials)} trials ({complete} complete), which flatters "
        f"it: train it and look at its test images{rest}"
    )
