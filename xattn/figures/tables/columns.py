"""Which columns each of a folder's tables shows to people."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from xattn.analysis import verdicts
from xattn.analysis.evaluation.trap import ALL, NOTHING
from xattn.figures.paper.bias import METRICS as BIAS_METRICS
from xattn.figures.paper.bias import metric_words
from xattn.figures.tables.cells import (
    Basis,
    Cell,
    Column,
    Columns,
    Head,
    Row,
    interval,
    number,
    on_screen,
    p,
    text,
    used,
)

METRICS = {
    **BIAS_METRICS,
    "average_precision": "average precision",
    "f1": "F1",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error",
    "ece_adaptive": "calibration error, bins of equal mass",
    "equalized_odds_difference": "equalised odds, difference",
    "equalized_odds_ratio": "equalised odds, ratio",
    "demographic_parity_difference": "demographic parity, difference",
}
"""Names of metrics as readers know them."""

PREDICTED = "predicted as "
"""Stands before a class in the name of the column that counts the images predicted as it."""

TRAP_NAMES = {NOTHING: "nothing", ALL: "all of these"}

SPLITS = {"ood-test": "ood − test"}

TESTS = {
    "welch": "Welch, over seeds",
    "wilcoxon": "Wilcoxon, over seeds",
    "bayes": "posterior, over seeds",
    "mcnemar": "McNemar, over images",
    "delong": "DeLong, over images",
}
"""Names of the tests of `xattn compare`."""


BRIEF_VERDICTS = {
    verdicts.CHANGES: "changes decisions",
    verdicts.HARDLY: "hardly changes decisions",
    verdicts.UNCLEAR: "itself or a correlate",
    verdicts.NO_EVIDENCE: "no evidence",
}
"""What a printed table says for a long verdict; its notes say the whole."""


def _alignment(table: pd.DataFrame, tests: Basis) -> Columns:
    chance = "chance_lift" in table
    return [
        text("feature", "feature"),
        text("kind", "kind"),
        text("method", "method"),
        on_screen(text("label", "label")),
        number("images", "n", 0),
        interval("lift", ("lift", "lift_low", "lift_high"), "95 % interval; evenly spread: 1",
                 tests=tests, of="p_adjusted"),
        number("chance lift", "chance_lift", 2, "masks of other images") if chance else None,
        p("adjusted p", "p_adjusted", "Holm, whole table"),
        on_screen(p("p", "p_value", "against other masks", tests.smallest)),
        on_screen(number("area", "area", 3, "share of pixels")),
        on_screen(number("mass", "mass", 3, "chance: area")),
        on_screen(number("pointing", "pointing", 2, "chance: area")),
        on_screen(number("AUC", "auc", 2, "chance: 0.50")),
        on_screen(number("rank accuracy", "rank_accuracy", 2, "chance: area")),
        on_screen(number("top-k", "topk", 2, "chance: area")),
    ]  # fmt: skip


def _feature_usage(table: pd.DataFrame, tests: Basis) -> Columns:
    keys = ("effect_bits", "effect_low", "effect_high")
    return [
        text("feature", "feature"),
        text("kind", "kind"),
        text("test", "test"),
        number("images", "n", 0),
        on_screen(number("groups", "groups", 0)),
        interval("effect, bits", keys, "95 % interval; chance: 0", tests=tests, of="p_adjusted"),
        number("rank effect", "rank_effect", 3, "−1 to 1; chance: 0"),
        on_screen(p("p", "p_value", "permutations within label", tests.smallest)),
        p("adjusted p", "p_adjusted", "whole table"),
        on_screen(used()),
    ]


def _interventions(table: pd.DataFrame, tests: Basis) -> Columns:
    change = ("delta_logit", "delta_low", "delta_high")
    excess = ("excess_logit", "excess_low", "excess_high")
    known = excess[0] in table
    return [
        text("feature", "feature"),
        text("intervention", "intervention"),
        number("images", "n", 0),
        interval("change of logit", change, "95 % interval; no effect: 0", tests=tests,
                 of="" if known else "p_adjusted"),
        number("of control", "control_delta_logit", 3, "same change elsewhere"),
        interval("beyond control", excess, "95 % interval; no effect: 0", tests=tests,
                 of="p_adjusted") if known else None,
        number("flip rate", "flip_rate", 3),
        number("of control", "control_flip_rate", 3, "same change elsewhere"),
        on_screen(p("p", "p_value", "", tests.smallest)),
        p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]  # fmt: skip


def _interventions_by_class(table: pd.DataFrame, tests: Basis) -> Columns:
    excess = ("excess_logit", "excess_low", "excess_high")
    return [
        text("feature", "feature"),
        text("intervention", "intervention"),
        text("class", "class", _same(table, "class")),
        number("images", "n", 0),
        interval("change of logit", ("delta_logit", "delta_low", "delta_high"),
                 "95 % interval; no effect: 0"),
        interval("beyond control", excess, "95 % interval; no effect: 0", tests=tests,
                 of="p_adjusted"),
        number("came", "gained", 0, "decisions that became the class"),
        number("of control", "control_gained", 0, "same change elsewhere"),
        number("left", "lost", 0, "decisions that were the class"),
        number("of control", "control_lost", 0, "same change elsewhere"),
        p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]  # fmt: skip


def _verdicts(table: pd.DataFrame, tests: Basis) -> Columns:
    keys = ("excess_logit", "excess_low", "excess_high")
    lifts = [c for c in map(str, table) if c.startswith("lift_over_chance_")]
    maps: Columns = []
    for column in lifts:
        method = column.removeprefix("lift_over_chance_")
        its_p = f"lift_p_{method}"
        maps += [
            number(f"lift by {method}", column, 2, "over masks of other images: 1", tests, its_p),
            on_screen(p("adjusted p", its_p, "of the lift")),
        ]
    return [
        text("feature", "feature"),
        text("kind", "kind"),
        _verdict(),
        number("rank effect", "rank_effect", 3, "−1 to 1; chance: 0", tests, "p_adjusted"),
        on_screen(p("adjusted p", "p_adjusted", "of the dependence")),
        on_screen(number("detectable", "detectable_effect", 3, "found in 4 of 5 cases")),
        on_screen(text("edit", "intervention")),
        interval("change of logit", keys, "beyond its control's; 95 % interval; no effect: 0",
                 tests=tests, of="intervention_p"),
        number("flip rate", "flip_rate", 3),
        number("of control", "control_flip_rate", 3, "same change elsewhere"),
        on_screen(p("adjusted p", "intervention_p", "of the edit")),
        *maps,
    ]  # fmt: skip


def _verdict() -> Column:
    """Sort verdicts by what they say, not by their letters."""

    def cell(row: Row) -> Cell:
        said, every = str(row["verdict"]), verdicts.VERDICTS
        place = every.index(said) if said in every else len(every)
        return Cell(said, place, {"verdict": said}, brief=BRIEF_VERDICTS.get(said, ""))

    return Head("verdict", numeric=False), cell


def _agreement(table: pd.DataFrame, tests: Basis) -> Columns:
    correlation, overlap = "rank_correlation", "overlap"
    return [
        text("method", "method_a"),
        text("with", "method_b"),
        number("images", "n", 0),
        interval("rank correlation", (correlation, f"{correlation}_low", f"{correlation}_high"),
                 "95 % interval", tests=tests, of="p_adjusted"),
        number("correlation by chance", f"chance_{correlation}", 3, "maps of other images"),
        interval("overlap", (overlap, f"{overlap}_low", f"{overlap}_high"),
                 "of the top tenth of pixels; 95 % interval"),
        number("overlap by chance", f"chance_{overlap}", 3, "maps of other images"),
        on_screen(p("p", "p_value", "of the correlation", tests.smallest)),
        p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]  # fmt: skip


def _bias(table: pd.DataFrame, tests: Basis) -> Columns:
    keys = ("gap", "gap_low", "gap_high")
    names = {str(metric): metric_words(str(metric)) for metric in table["metric"].unique()}
    several = any("[" in name for name in names)
    return [
        text("feature", "feature"),
        text("metric", "metric", names),
        on_screen(text("classes", "classes")) if several and "classes" in table else None,
        number("with", "n_present", 0, "images"),
        number("without", "n_absent", 0, "images"),
        number("value with", "present", 3),
        number("value without", "absent", 3),
        interval("gap × 100", keys, "95 % interval; no bias: 0", 100, tests, "p_adjusted"),
        on_screen(p("p", "p_value", "", tests.smallest)),
        p("adjusted p", "p_adjusted", "Holm, whole table"),
    ]


def _fairness(table: pd.DataFrame, tests: Basis) -> Columns:
    keys = ("value", "low", "high")
    return [
        text("feature", "feature"),
        text("metric", "metric", METRICS),
        number("images", "n", 0),
        text("groups compared", "categories"),
        interval("value", keys, "95 % interval; alike: 0, a ratio 1",
                 tests=tests, of="p_adjusted"),
        number("by chance", "chance", 3, "groups dealt out at random"),
        on_screen(p("p", "p_value", "", tests.smallest)),
        p("adjusted p", "p_adjusted", "Holm, by metric"),
    ]  # fmt: skip


def _trap(table: pd.DataFrame, tests: Basis) -> Columns:
    def spread(title: str, key: str, note: str) -> Column:
        return interval(title, (key, f"{key}_low", f"{key}_high"), note)

    return [
        text("alike in", "alike_in", TRAP_NAMES),
        text("metric", "metric", METRICS),
        number("n with", "n_amplified", 0, "images where artifacts go with the label"),
        number("n against", "n_reversed", 0, "images where they go against it"),
        spread("with the label", "amplified", "95 % interval over groups"),
        spread("against it", "reversed", "95 % interval over groups"),
        spread("drop", "drop", "no loss: 0"),
        spread("explained", "explained", "of the drop; by nothing: 0"),
    ]


def _performance(table: pd.DataFrame, tests: Basis) -> Columns:
    several = bool((table["domain"] != "all").any())
    return [
        text("split", "split", SPLITS),
        text("domain", "domain") if several else None,
        text("metric", "metric", METRICS),
        text("class", "class"),
        number("images", "n", 0),
        on_screen(number("groups", "groups", 0)),
        interval("value", ("value", "low", "high"), "95 % interval over groups"),
        number("by chance", "chance", 3, "knowing nothing of the image"),
    ]


def _confusion(table: pd.DataFrame, tests: Basis) -> Columns:
    predicted = [c for c in map(str, table) if c.startswith(PREDICTED)]
    return [
        text("split", "split", SPLITS),
        text("label", "label", _same(table, "label")),
        number("images", "images", 0),
        *(number(f"as {c.removeprefix(PREDICTED)}", c, 0) for c in predicted),
        interval("recognised", ("value", "low", "high"), "95 % interval over groups"),
        number("by chance", "chance", 3, "the same predictions dealt out at random"),
    ]


def _comparison(table: pd.DataFrame, tests: Basis) -> Columns:
    detectable = "smallest" in table
    return [
        text("model", "a", _same(table, "a")),
        text("against", "b", _same(table, "b")),
        text("split", "split", SPLITS),
        text("metric", "metric", METRICS),
        text("test", "test", TESTS),
        number("n", "n", 0, "seeds, pairs of seeds, or images"),
        interval("difference", ("difference", "low", "high"), "95 % interval; none: 0",
                 tests=tests, of="p_adjusted"),
        on_screen(interval("effect", ("effect", "effect_low", "effect_high"),
                           "in the test's own measure")),
        number("smallest", "smallest", 3, "difference found in 4 of 5 cases")
        if detectable else None,
        on_screen(p("p", "p_value", "")),
        p("adjusted p", "p_adjusted", "Holm, by test"),
        text("verdict", "verdict"),
    ]  # fmt: skip


def _same(table: pd.DataFrame, key: str) -> dict[str, str]:
    """Keep names of models letter by letter: vit_tiny_patch16_224 is typed so."""
    return {str(name): str(name) for name in table[key]}


COLUMNS: dict[str, Callable[[pd.DataFrame, Basis], Columns]] = {
    "verdicts": _verdicts,
    "alignment": _alignment,
    "feature_usage": _feature_usage,
    "interventions": _interventions,
    "interventions_by_class": _interventions_by_class,
    "agreement": _agreement,
    "bias": _bias,
    "fairness": _fairness,
    "trap": _trap,
    "performance": _performance,
    "confusion": _confusion,
    "comparison": _comparison,
}
"""Table -> its columns, from the table and what is known of its tests."""
