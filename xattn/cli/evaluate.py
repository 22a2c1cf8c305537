"""`xattn evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn.analysis.settings import EvaluateInputs, EvaluateSettings
from xattn.cli.cells import cell, with_interval
from xattn.cli.from_settings import options_of, taken
from xattn.cli.options import checkpoint_option, common, strict_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE
from xattn.settings.load import LoadSettings

if TYPE_CHECKING:
    from xattn.analysis.evaluation.evaluate import Evaluation

_FINDINGS = (
    ("AUC", "auc"),
    ("average precision", "average_precision"),
    ("balanced accuracy", "balanced_accuracy"),
)
_VALUES = (("mean absolute error", "mae"), ("R²", "r2"), ("Spearman", "spearman"))
"""Metrics of independent outputs that are printed, by their titles."""
_MOST_CLASSES = 12
"""A wider matrix fits no terminal; confusion.csv and the figure have it."""


@click.command("evaluate")
@checkpoint_option(required=True, more="several with --ensemble.")
@options_of(EvaluateInputs)
@options_of(EvaluateSettings, without=("batch_size", "workers"))
@click.option(
    "--out", type=PLACE, default=Path("xattn-run"), show_default=True, help="The run folder."
)
@options_of(LoadSettings)
@options_of(EvaluateSettings, only=("batch_size", "workers"))
@strict_option
@common
def command(
    ckpt: tuple[Path, ...],
    out: Path,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Measure a model on images that it was not trained on.

    In-distribution (ID) and out-of-distribution (OOD) images stand side by side.

    Every number comes with a bootstrap interval over groups and its level of chance.
    """
    from xattn.analysis.evaluation.evaluate import evaluate
    from xattn.annotations import read_annotations
    from xattn.cli.loading import load_model
    from xattn.runs.depth import lost_depth

    inputs, settings = taken(EvaluateInputs, chosen), taken(EvaluateSettings, chosen)
    terminal = Terminal(quiet, as_json)
    known = read_annotations(inputs.annotations or "", on_problem=terminal.problem)
    with terminal.progress("evaluate") as progress:
        result = evaluate(
            load_model(ckpt, taken(LoadSettings, chosen)),
            known,
            out,
            images=inputs.images,
            splits=inputs.splits,
            settings=settings,
            progress=progress,
        )
    if "target" in result.performance:
        _show_outputs(terminal, result)
    else:
        _show_metrics(terminal, result)
    for sentence in result.sentences:
        terminal.say(sentence)
    notes = [*result.notes, *filter(None, [result.run.outdated_analysis()])]
    for note in notes:
        terminal.say(f"Note: {note}")
    written = (
        "performance.csv, confusion.csv and reliability.csv" if not settings.trap else "Tables"
    )
    terminal.say(f"{written} in {result.run.path}")
    terminal.summary(
        {
            "run": str(result.run.path),
            "positive": result.positive or None,
            "performance": result.performance.to_dict("records"),
            "confusion": result.confusion.to_dict("records"),
            "trap": None if result.trap is None else result.trap.to_dict("records"),
            "sentences": list(result.sentences),
            "notes": notes,
        }
    )
    missing = result.run.settings["counts"]["skipped"] or lost_depth(result.run.predictions)
    return 3 if strict and (terminal.problems or missing) else 0


def _show_metrics(terminal: Terminal, result: Evaluation) -> None:
    """Print the metrics of classes that exclude each other."""
    from xattn.analysis.evaluation.metrics import PER_CLASS

    table = result.performance
    shown = table[table["domain"] == "all"]
    whole = shown["class"] == "all"
    if table["class"].nunique() > 3:  # of many classes the means alone
        shown = shown[whole]
    else:
        shown = shown[whole | ~shown["metric"].isin(PER_CLASS)]
    shown = shown.drop(columns=["domain", "groups"])
    terminal.table(shown, "How good is the model? (95 % intervals over groups; beside chance)")
    for split in dict.fromkeys(result.confusion["split"]):
        _show_classes(terminal, result, str(split))


def _show_outputs(terminal: Terminal, result: Evaluation) -> None:
    """Print a line for each independent output and split."""
    import pandas as pd

    table = result.performance
    table = table[table["domain"] == "all"]
    rows = []
    for (split, target), own in table.groupby(["split", "target"], sort=False):
        row: dict[str, object] = {"output": target, "split": split, "images": own["n"].iloc[0]}
        for title, metric in _VALUES if result.run.of_value else _FINDINGS:
            found = own[own["metric"] == metric].iloc[0]
            row[title] = with_interval(found["value"], found["low"], found["high"])
            same = "chance" + " " * (len(row) // 2)  # the same word over several columns
            row[same] = cell(found["chance"], ".2f")
        rows.append(row)
    title = "How good is each output, there or not? (95 % intervals over groups; chance of average "
    title += "precision: the fraction that shows it)"
    if result.run.of_value:
        title = (
            "How near are the values to the reference? (95 % intervals over groups; chance: the "
        )
        title += "reference's median for all, or its mean)"
    terminal.table(pd.DataFrame(rows), title)


def _show_classes(terminal: Terminal, result: Evaluation, split: str) -> None:
    """Print sensitivity, precision and F1 of each class, and the confusion matrix."""
    from xattn.analysis.evaluation.confusion import matrix, per_class

    table = per_class(result.performance, result.confusion, split)
    shown = table[["class", "images"]].copy()
    for metric in ("sensitivity", "precision", "f1"):
        shown[metric] = [
            with_interval(*values)
            for values in table[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy(float)
        ]
        shown["chance" + " " * len(shown.columns)] = [  # the same word over several columns
            cell(value, ".2f") for value in table[f"{metric}_chance"]
        ]
    terminal.table(shown, f"Class by class, {split} images (95 % intervals over groups)")
    counts = matrix(result.confusion, split)
    if len(counts) <= _MOST_CLASSES:
        rows = counts.reset_index().rename(columns={"label": "label \\ predicted"})
        terminal.table(rows, f"Labels against predictions, {split} images")
