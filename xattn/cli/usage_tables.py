"""What `xattn feature-usage` prints: the parts of its tables that answer its questions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.cli.cells import cell
from xattn.cli.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

    from xattn.analysis.usage_result import FeatureUsage

MOST_OUTPUTS = 5
"""Outputs whose verdicts are printed side by side."""
MOST_ROWS = 40
"""Rows of gaps that are printed; all are in the CSV files."""

_COARSENESS = ("mask_cells", "too_coarse")


def show_over_training(terminal: Terminal, table: pd.DataFrame, out: Path) -> None:
    """Print where each feature came out as used, and how its effect began and ended."""
    import pandas as pd

    rows = []
    for (feature, kind, test), part in table.groupby(["feature", "kind", "test"], sort=False):
        used = part.loc[part["used"].astype(bool), "step"]
        rows.append(
            {
                "feature": feature,
                "kind": kind,
                "test": test,
                "used": f"{len(used)} of {len(part)}",
                "first used": cell(used.min() if len(used) else None),
                "bits at first": part["effect_bits"].iloc[0],
                "bits at last": part["effect_bits"].iloc[-1],
            }
        )
    terminal.table(pd.DataFrame(rows), "At which steps does the prediction depend on the feature?")
    figure = shlex.join(["xattn", "figures", str(out)])
    terminal.say(f"usage_over_training.csv in {out}; as a figure: {figure}")
    terminal.summary({"out": str(out), "usage_over_training": table.to_dict("records")})


def show_outputs(terminal: Terminal, found: FeatureUsage) -> None:
    """Print what was found of several independent outputs, side by side."""
    alpha = found.settings.alpha
    shown = ["target", "feature", "kind", "test", "n", "rank_effect", "effect_bits", "p_adjusted"]
    used = _by_effect(found.usage[found.usage["used"].astype(bool)])[shown]
    terminal.table(
        used[:MOST_ROWS],
        "On which features does an output depend, given whether it is there? (adjusted within an "
        f"output, alpha {alpha:g})",
        notes=_more_rows("feature_usage", len(used)),
    )
    edits = found.interventions
    shown = ["target", "feature", "intervention", "n", "delta_logit", "control_delta_logit"]
    shown += ["flip_rate", "control_flip_rate", "p_adjusted"]
    changing = edits.loc[edits["p_adjusted"].astype(float) < alpha, shown]
    terminal.table(
        changing[:MOST_ROWS],
        "Which edits change the log odds of an output more than their controls do?",
        notes=_more_rows("interventions", len(changing)),
    )
    verdicts = found.verdicts.pivot_table(
        index=["feature", "kind"], columns="target", values="verdict", aggfunc="first", sort=False
    )
    few = [name for name in found.targets if name in verdicts][:MOST_OUTPUTS]
    left = found.targets[MOST_OUTPUTS:]
    more = [f"{len(left)} more outputs in verdicts.csv: {', '.join(left)}"] if left else []
    terminal.table(verdicts[few].reset_index(), "What follows, output by output", notes=more)
    page = shlex.join(["xattn", "report", str(found.run.path)])
    terminal.say(f"All rows of each output are in the tables, and on its page of {page}")


def _by_effect(usage: pd.DataFrame) -> pd.DataFrame:
    """Put what is used first, and the largest effects first of each."""
    effect = usage["rank_effect"].astype(float).abs().fillna(-1.0)
    order = usage.assign(_used=usage["used"].astype(bool), _effect=effect)
    return usage.loc[order.sort_values(["_used", "_effect"], ascending=False, kind="stable").index]


def show_usage(terminal: Terminal, found: FeatureUsage) -> None:
    """Print the part of the tables that answers the question."""
    alignment, alpha = found.alignment, found.settings.alpha
    shown = ["method", "feature", "n", "lift", "lift_low", "lift_high", "chance_lift", "p_adjusted"]
    terminal.table(
        _with_coarseness(alignment.loc[alignment["label"] == "all", [*shown, *_COARSENESS]]),
        "Do the maps fall on the features? (lift 1: as much as their area; chance_lift: on other "
        "images' masks; cells: of the map, covered in the median)",
    )
    usage = found.usage
    shown = ["feature", "kind", "test", "n", "rank_effect", "effect_bits", "p_adjusted", "used"]
    given = usage["p_given"].notna().any()
    shown += ["effect_given", "p_given_adjusted"] if given else []
    terminal.table(
        _by_effect(usage)[shown],
        "Does the prediction depend on the feature, given the label"
        f"{', and given the other features' if given else ''}? (alpha {alpha:g})",
    )
    edits, of_value = found.interventions, found.run.of_value
    what = "value" if of_value else "log odds"
    shown = ["feature", "intervention", "n", "delta_logit", "control_delta_logit"]
    shown += [] if of_value else ["flip_rate", "control_flip_rate"]
    shown += ["p_adjusted"]
    terminal.table(
        edits[shown],
        f"What happens to the {what} when the feature is removed or inserted? (control: the same "
        "edit where it is not)",
    )
    doses = found.doses
    terminal.table(
        doses[~doses.duplicated(["feature", "intervention"])][
            ["feature", "intervention", "n", "slope", "slope_low", "slope_high", "p_adjusted"]
        ],
        f"Does the {what} follow when the feature is changed by degrees? (slope per unit of dose, "
        "beyond a control of equal size)",
    )
    shown = ["feature", "class", "n", "n_with", "auc", "p_encoded_adjusted", "derivative"]
    shown += ["p_used_adjusted", "finding"]
    concepts = found.concepts
    if len(concepts):
        tested = concepts.loc[concepts["note"].isna(), shown]
        terminal.table(
            tested[:MOST_ROWS],
            "Which features does the explained layer hold (auc: encoded; chance 0.5), and does the "
            f"{what} move along them (derivative: used; chance 0)?",
            notes=_more_rows("concepts", len(tested)),
        )
    if found.interventions_by_class is not None:
        changed = edits[edits["changes"].notna() | edits["control_changes"].notna()]
        terminal.table(
            changed[["feature", "intervention", "n", "changes", "control_changes"]],
            "Which decisions change, and how many?",
        )
    _show_apart(
        terminal,
        "bias",
        found.bias,
        "gap",
        ["metric", "present", "absent", "gap", "gap_low", "gap_high", "p_adjusted"],
        "Is the model better or worse where the artifact is, or on images of the group?",
        alpha,
        always="balanced_accuracy",
    )
    _show_apart(
        terminal,
        "fairness",
        found.fairness,
        "value",
        ["metric", "categories", "value", "low", "high", "chance", "p_adjusted"],
        "How far are rates of two groups apart, at most? (chance: of groups drawn at random)",
        alpha,
        always="equalized_odds_difference",
    )
    agreement = found.agreement
    shown = ["method_a", "method_b", "n", "rank_correlation", "chance_rank_correlation"]
    shown += ["overlap", "chance_overlap", "p_adjusted"]
    terminal.table(agreement[shown], "Do the methods show the same? (chance: maps of other images)")
    shown = ["feature", "kind", "verdict"]
    some = ("decided_by", "explained_by", "contradicts", "would_settle")
    shown += [name for name in some if found.verdicts[name].notna().any()]
    terminal.table(found.verdicts[shown].fillna(""), "What follows")


def _with_coarseness(alignment: pd.DataFrame) -> pd.DataFrame:
    """Say how many cells masks cover, and where these are too few."""
    cells = [
        f"{cell(covered, '.2g')}{', too coarse' if coarse else ''}"
        for covered, coarse in zip(*(alignment[name] for name in _COARSENESS), strict=True)
    ]
    return alignment.drop(columns=list(_COARSENESS)).assign(cells=cells)


def _show_apart(
    terminal: Terminal,
    name: str,
    table: pd.DataFrame,
    value: str,
    shown: list[str],
    title: str,
    alpha: float,
    always: str,
) -> None:
    """Print what sets groups apart: significant rows first, then one row a feature; below them how
    many rows are in the file alone, and which features have no number."""
    from xattn.analysis.groups.found import found_first, too_few

    ordered = found_first(table, value, alpha)
    significant = ordered["p_adjusted"] < alpha
    kept = ordered[significant | (ordered["metric"] == always)]
    hidden = int(significant[kept.index[MOST_ROWS:]].sum())
    notes = _more_rows(name, len(kept), f", {hidden} of them significant")
    if line := too_few(table, value):
        notes.append(line)
    terminal.table(kept[["feature", *shown]][:MOST_ROWS], title, notes=notes)


def _more_rows(name: str, n: int, besides: str = "") -> list[str]:
    """Say how many of n rows are in the file alone."""
    hidden = n - MOST_ROWS
    more = f"{hidden} more row{'s' * (hidden > 1)}"
    return [f"{more} in {name}.csv{besides}"] if hidden > 0 else []
