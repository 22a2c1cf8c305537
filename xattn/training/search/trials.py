"""The files of a search: trials.csv, best.toml and search.json."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from xattn.runs.atomic import read_record, write_text
from xattn.runs.csv_text import csv_text
from xattn.training.search.importance import Importance, importances
from xattn.training.search.shared_study import STATES
from xattn.training.search_table import Axis

SCHEMA = "xattn-search/1"


@dataclass(frozen=True)
class Trial:
    """One training of a search: a line of trials.csv.

    Attributes:
        number: counted from 0.
        state: "complete", "pruned" (given up early), "failed" or "running".
        value: of the metric: of the best epoch, or of the last one if the trial was pruned.
        values: dotted key -> value of the recipe.
        best_epoch, epochs: counted from 1; None where it did not come to its end.
        seconds: of its epochs.
        error: why it failed.
    """

    number: int
    state: str
    value: float | None
    values: Mapping[str, Any]
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    error: str = ""


def read_trials(frozen: Sequence[FrozenTrial], space: Mapping[str, Axis]) -> tuple[Trial, ...]:
    """Turn Optuna's trials into ours."""
    return tuple(
        Trial(
            number=one.number,
            state=STATES[one.state],
            value=one.value,
            values={key: space[key].value(drawn) for key, drawn in one.params.items()},
            **one.user_attrs,
        )
        for one in frozen
    )


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial of the largest value, the first among equals."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def trials_csv(trials: Sequence[Trial], keys: Sequence[str]) -> str:
    """Return the table of trials; choices that are lists are written as JSON."""
    remarks = ("best_epoch", "epochs", "seconds", "error")
    rows: list[tuple[Any, ...]] = [("trial", "state", "value", *keys, *remarks)]
    for trial in trials:
        drawn = [_cell(trial.values.get(key)) for key in keys]
        ends = [getattr(trial, name) for name in remarks]
        rows.append((trial.number, trial.state, trial.value, *drawn, *ends))
    return csv_text(rows)


def importances_of(trials: Sequence[Trial], space: Mapping[str, Axis]) -> list[Importance]:
    """Return the importance of every searched value among the trials that came to their end."""
    complete = [trial for trial in trials if trial.state == "complete"]
    columns = {
        key: [
            trial.values[key] if axis.choices is None else json.dumps(trial.values[key])
            for trial in complete
        ]
        for key, axis in space.items()
    }
    return importances(columns, [trial.value or 0.0 for trial in complete])


def write_search(
    out: Path,
    trials: Sequence[Trial],
    space: Mapping[str, Axis],
    best_recipe: str,
    facts: dict[str, Any],
) -> None:
    """Write the three files, each whole or not at all, and drop weights that lost.

    Args:
        out: folder of the search.
        trials: all of them.
        space: that was searched.
        best_recipe: content of best.toml; "" if no trial is complete.
        facts: what else goes into search.json.
    """
    best = best_of(trials)
    counts = {name: sum(trial.state == name for trial in trials) for name in STATES.values()}
    write_text(out / "trials.csv", trials_csv(trials, list(space)), shared=True)
    if best_recipe:
        write_text(out / "best.toml", best_recipe, shared=True)
    record = {
        "schema": SCHEMA,
        **facts,
        "trials": counts,
        "best": None if best is None else {"trial": best.number, **_about(out, best)},
        "importance": [asdict(one) for one in importances_of(trials, space)],
    }
    write_text(out / "search.json", json.dumps(record, indent=2) + "\n", shared=True)
    for trial in trials:
        if trial.state != "running" and trial is not best:
            folder = trial_folder(out, trial.number)
            (folder / "model.pt").unlink(missing_ok=True)
            shutil.rmtree(folder / ".progress", ignore_errors=True)


def trial_folder(out: Path, number: int) -> Path:
    """Return the folder of a trial's training."""
    return out / "trials" / f"{number:04d}"


def _about(out: Path, best: Trial) -> dict[str, Any]:
    """Return what is known of the best trial; its scores are those of model selection."""
    training = read_record(trial_folder(out, best.number) / "train.json")
    return {
        "value": best.value,
        "epoch": best.best_epoch,
        "values": dict(best.values),
        "val": training["val"],
    }


def _label(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else json.dumps(value)


def _cell(value: Any) -> Any:
    return "" if value is None else _label(value)
