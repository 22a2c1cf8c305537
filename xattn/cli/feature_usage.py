"""`xattn feature-usage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn.cli.options import (
    FILE,
    PLACE,
    common,
    computing,
    model_options,
    positive_option,
    seed_option,
    strict_option,
)
from xattn.cli.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 40
"""Rows of gaps that are printed; all are in the CSV files."""


@click.command("feature-usage")
@click.option("--annotations", type=FILE, required=True, help="Masks, values and labels.")
@click.option("--run", type=PLACE, help="Run folder; default the last one here.")
@model_options(required=False, several=True)
@click.option("--images", "-i", multiple=True, help="With --ckpt: explain these first.")
@click.option(
    "--method",
    "-m",
    multiple=True,
    help="With --ckpt: maps to make; repeatable; of several checkpoints none if not given.",
)
@click.option("--permutations", type=click.IntRange(19), default=999, show_default=True)
@click.option("--bootstrap", type=click.IntRange(99), default=1000, show_default=True)
@click.option("--alpha", type=click.FloatRange(0, 1), default=0.05, show_default=True)
@positive_option
@click.option(
    "--decision",
    type=click.Choice(["min-p", "majority"]),
    default="min-p",
    show_default=True,
    help="How the statistics of the dependence test decide.",
)
@click.option(
    "--interventions",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Images edited for each feature and edit; 0 for none.",
)
@click.option(
    "--no-computed", is_flag=True, help="Leave out features computed from pictures and lesions."
)
@click.option("--detect", is_flag=True, help="Look for artifacts that nobody annotated.")
@click.option("--features", "more_features", type=FILE, help="CSV of further features.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="NAME",
    help="Feature to leave out; repeatable. Ids, splits and the like are; none keeps them.",
)
@click.option("--cross-check", is_flag=True, help="Add causal-learn's KCI test; slow.")
@seed_option
@computing
@strict_option
@common
def command(
    annotations: Path,
    run: Path | None,
    ckpt: tuple[Path, ...],
    images: tuple[str, ...],
    method: tuple[str, ...],
    permutations: int,
    bootstrap: int,
    alpha: float,
    positive: tuple[str, ...],
    decision: str,
    interventions: int,
    no_computed: bool,
    detect: bool,
    more_features: Path | None,
    exclude: tuple[str, ...],
    cross_check: bool,
    seed: int,
    device: str,
    batch_size: int,
    workers: int | None,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **model_choice: Any,
) -> int:
    """Measure which features a model uses: maps against masks, dependence tests, bias gaps.

    Works on the run folder that `xattn explain` left here, or straight from --ckpt and --images.
    With several checkpoints of one training: which features are used at each step.
    """
    from xattn.analysis.feature_usage import feature_usage as measure
    from xattn.analysis.positive import Positive
    from xattn.annotations import read_annotations
    from xattn.runs import RunFolder, last_run

    terminal = Terminal(quiet, as_json)
    known = read_annotations(annotations, on_problem=terminal.problem)
    model = None
    notes: list[str] = []
    if len(ckpt) > 1 or any(path.is_dir() for path in ckpt):
        from xattn.analysis.over_training import usage_over_training
        from xattn.cli.loading import load_model

        out = run or Path("xattn-run")
        with terminal.progress("explain") as progress:
            course = usage_over_training(
                ckpt,
                known,
                out,
                images=images or None,
                methods=method,
                permutations=permutations,
                bootstrap=bootstrap,
                alpha=alpha,
                seed=seed,
                positive=positive,
                decision=decision,
                computed=not no_computed,
                detect=detect,
                more_features=more_features,
                exclude=exclude,
                load=lambda path: load_model(path, device=device, **model_choice),
                batch_size=batch_size,
                workers=workers,
                progress=progress,
            )
        _show_course(terminal, course, out)
        return 3 if strict and terminal.problems else 0
    if ckpt:
        from xattn.attribution.run.pipeline import explain
        from xattn.cli.loading import load_model

        model = load_model(ckpt[0], device=device, **model_choice)
        with terminal.progress("explain") as progress:
            folder = explain(
                model,
                images or None,
                methods=method or None,
                out=run or "xattn-run",
                annotations=known,
                batch_size=batch_size,
                workers=workers,
                overlay=None,
                exact=None,
                amp=None,
                progress=progress,
                on_note=notes.append,
                on_change=notes.append,
            )
    else:
        folder = RunFolder.open(run) if run else last_run()
    with terminal.progress("feature usage") as progress:
        tables = measure(
            folder,
            known,
            permutations=permutations,
            bootstrap=bootstrap,
            alpha=alpha,
            seed=seed,
            positive=positive,
            decision=decision,
            interventions=interventions,
            model=model,
            cross_check=cross_check,
            computed=not no_computed,
            detect=detect,
            more_features=more_features,
            exclude=exclude,
            progress=progress,
            on_note=notes.append,
        )
    spoken = Positive.of(folder.classes, positive)
    if spoken.sentence:
        terminal.say(spoken.sentence)
    _show(terminal, tables, alpha)
    for note in notes:
        terminal.say(f"Note: {note}")
    terminal.say(f"Tables in {folder.path}; a page of them: xattn report {folder.path}")
    terminal.summary(
        {
            "run": str(folder.path),
            "positive": spoken.name or None,
            **{k: t.to_dict("records") for k, t in tables.items()},
        }
    )
    return 3 if strict and terminal.problems else 0


def _show_course(terminal: Terminal, course: pd.DataFrame, out: Path) -> None:
    """Print where each feature came out as used, and how its effect began and ended."""
    import pandas as pd

    rows = []
    for (feature, kind, test), part in course.groupby(["feature", "kind", "test"], sort=False):
        used = part.loc[part["used"].astype(bool), "step"]
        rows.append(
            {
                "feature": feature,
                "kind": kind,
                "test": test,
                "used": f"{len(used)} of {len(part)}",
                "first used": str(used.min()) if len(used) else "-",
                "bits at first": part["effect_bits"].iloc[0],
                "bits at last": part["effect_bits"].iloc[-1],
            }
        )
    terminal.table(pd.DataFrame(rows), "At which steps does the prediction depend on the feature?")
    terminal.say(f"usage_over_training.csv in {out}; as a figure: xattn figures {out}")
    terminal.summary({"out": str(out), "usage_over_training": course.to_dict("records")})


def _by_effect(usage: pd.DataFrame) -> pd.DataFrame:
    """Put what is used first, and the largest effects first of each."""
    effect = usage["rank_effect"].astype(float).abs().fillna(-1.0)
    order = usage.assign(_used=usage["used"].astype(bool), _effect=effect)
    return usage.loc[order.sort_values(["_used", "_effect"], ascending=False, kind="stable").index]


def _show(terminal: Terminal, tables: dict[str, Any], alpha: float) -> None:
    """Print the part of the tables that answers the question."""
    alignment = tables["alignment"]
    shown = ["method", "feature", "n", "lift", "lift_low", "lift_high", "chance_lift", "p_adjusted"]
    terminal.table(
        alignment.loc[alignment["label"] == "all", shown],
        "Do the maps fall on the features? (lift 1: as much as their area; chance_lift: on other "
        "images' masks)",
    )
    usage = tables["feature_usage"]
    shown = ["feature", "kind", "test", "n", "rank_effect", "effect_bits", "p_adjusted", "used"]
    terminal.table(
        _by_effect(usage)[shown],
        f"Does the prediction depend on the feature, given the label? (alpha {alpha:g})",
    )
    edits = tables["interventions"]
    shown = ["feature", "intervention", "n", "delta_logit", "control_delta_logit", "flip_rate"]
    shown += ["control_flip_rate", "p_adjusted"]
    terminal.table(
        edits[shown],
        "What happens to the log odds when the feature is removed or inserted? (control: the same "
        "edit where it is not)",
    )
    if "interventions_by_class" in tables:
        changed = edits[edits["changes"].notna() | edits["control_changes"].notna()]
        terminal.table(
            changed[["feature", "intervention", "n", "changes", "control_changes"]],
            "Which decisions change, and how many?",
        )
    _show_apart(
        terminal,
        tables["bias"],
        "gap",
        ["metric", "present", "absent", "gap", "gap_low", "gap_high", "p_adjusted"],
        "Is the model better or worse where the artifact is, or on images of the group?",
        alpha,
        always="balanced_accuracy",
    )
    _show_apart(
        terminal,
        tables["fairness"],
        "value",
        ["metric", "categories", "value", "low", "high", "chance", "p_adjusted"],
        "How far are rates of two groups apart, at most? (chance: of groups drawn by lot)",
        alpha,
        always="equalized_odds_difference",
    )
    agreement = tables["agreement"]
    shown = ["method_a", "method_b", "n", "rank_correlation", "chance_rank_correlation"]
    shown += ["overlap", "chance_overlap", "p_adjusted"]
    terminal.table(agreement[shown], "Do the methods show the same? (chance: maps of other images)")
    terminal.table(tables["verdicts"][["feature", "kind", "verdict"]], "What follows")


def _show_apart(
    terminal: Terminal,
    table: pd.DataFrame,
    value: str,
    shown: list[str],
    title: str,
    alpha: float,
    always: str,
) -> None:
    """Print what sets groups apart: significant rows first, then one row a feature; the features
    without any number are named in a line."""
    from xattn.analysis.groups.found import found_first, too_few

    ordered = found_first(table, value, alpha)
    significant = ordered["p_adjusted"] < alpha
    kept = ordered[significant | (ordered["metric"] == always)]
    if len(kept) or not len(table):
        terminal.table(kept[["feature", *shown]][:MOST_ROWS], title)
    if len(kept) > MOST_ROWS:
        hidden = int(significant[kept.index[MOST_ROWS:]].sum())
        terminal.say(f"{len(kept) - MOST_ROWS} more rows, {hidden} of them significant")
    if line := too_few(table, value):
        terminal.say(line)
