"""comparison_runs.csv, comparison.csv and ranks.csv: models over seeds."""

from __future__ import annotations

from xattn.runs.tables import Field, Interval, Number, Printed, PValue, Table, Text, declare
from xattn.runs.tables.names import METRICS, SPLITS
from xattn.runs.tables.sources import COMPARE

_DIFFERENCE = "a minus b, with its 95 % interval"
_EFFECT = "effect size of the test, with its interval"
_POSTERIOR = (
    "of `bayes`: posterior probability above, within and below the region of practical equivalence"
)

_TESTS = {
    "welch": "Welch, over seeds",
    "wilcoxon": "Wilcoxon, over seeds",
    "bayes": "posterior, over seeds",
    "mcnemar": "McNemar, over images",
    "delong": "DeLong, over images",
}

COMPARISON_RUNS = declare(
    Table(
        "comparison_runs",
        about="One row per network, split and metric: every metric, whichever are tested.",
        source=COMPARE,
        columns=(
            Field("model", "its name", "text"),
            Field("seed", "of the training", "count"),
            Field("split", "`test`, `ood`, `val` or `all`", "text"),
            Field("metric", "see `xattn evaluate`", "text"),
            Field("value", "of the metric"),
        ),
        sometimes=(Field("run", "name of the run's folder", "text"),),
    )
)

COMPARISON = declare(
    Table(
        "comparison",
        about="One row per pair of models, test, split and metric.",
        source=COMPARE,
        columns=(
            Field("a", "the models; differences are a - b", "text"),
            Field("b", "the models; differences are a - b", "text"),
            Field("test", "`welch`, `wilcoxon`, `bayes`, `mcnemar` or `delong`", "text"),
            Field("split", "`test`, `ood`, `val` or `all`", "text"),
            Field("metric", "`mcnemar` is about `accuracy`, `delong` about `auc`", "text"),
            Field("difference", _DIFFERENCE, chance="0"),
            Field("low", _DIFFERENCE, chance="0"),
            Field("high", _DIFFERENCE, chance="0"),
            Field("statistic", "of the test"),
            Field("p_value", "two-sided; empty where nothing can be tested", "p"),
            Field("p_adjusted", "Holm within each kind of test", "p"),
            Field("n", "seeds (of both models), pairs of seeds, or images", "count"),
            Field("effect", _EFFECT, chance="0; an odds ratio 1"),
            Field("effect_low", _EFFECT, chance="0; an odds ratio 1"),
            Field("effect_high", _EFFECT, chance="0; an odds ratio 1"),
            Field("verdict", "of a: `better`, `worse`, `undecided`, `equivalent` (bayes), "
                  "`untestable`", "text"),
            Field("conclusion", "the pair's sentence on this split", "text"),
        ),
        sometimes=(
            Field("p_better", _POSTERIOR, range="0 to 1"),
            Field("p_equivalent", _POSTERIOR, range="0 to 1"),
            Field("p_worse", _POSTERIOR, range="0 to 1"),
            Field("smallest", "difference that this number of seeds finds with 80 % power"),
        ),
        shown=(
            Text("model", "a", verbatim=True),
            Text("against", "b", verbatim=True),
            Text("split", "split", SPLITS),
            Text("metric", "metric", METRICS),
            Text("test", "test", _TESTS),
            Number("n", "n", 0, "seeds, pairs of seeds, or images"),
            Interval("difference", "difference", "low", "high", "95 % interval; none: 0",
                     "p_adjusted"),
            Interval("effect", "effect", "effect_low", "effect_high", "in the test's own measure",
                     on_paper=False),
            Number("smallest", "smallest", 3, "difference found in 4 of 5 cases"),
            PValue("p", "p_value", on_paper=False),
            PValue("adjusted p", "p_adjusted", "Holm, by test"),
            Text("verdict", "verdict"),
        ),
        printed=Printed("Differences between {of}, first minus second.", of="comparison"),
    )
)  # fmt: skip

RANKS = declare(
    Table(
        "ranks",
        about="One row per split, metric and model, for three models or more and two or more "
        "seeds that all share.",
        source=COMPARE,
        columns=(
            Field("split", "`test`, `ood`, `val` or `all`", "text"),
            Field("metric", "by which the models are ranked", "text"),
            Field("model", "its name", "text"),
            Field("rank", "mean over seeds; 1 is best", range="1 to the number of models"),
            Field("blocks", "seeds that all models share", "count"),
            Field("statistic", "Friedman's"),
            Field("p_value", "from 4,999 exchanges of the models within seeds", "p"),
            Field("critical_difference", "of mean ranks, Nemenyi's"),
        ),
    )
)  # fmt: skip
