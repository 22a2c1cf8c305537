"""bias.csv and fairness.csv: artifacts and groups of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xattn.runs.tables import (
    Field,
    Interval,
    Number,
    Printed,
    PValue,
    Section,
    Table,
    Text,
    declare,
)
from xattn.runs.tables.layout import RATES_OF
from xattn.runs.tables.names import METRICS
from xattn.runs.tables.sources import USAGE

if TYPE_CHECKING:
    import pandas as pd

_GAP = "`present` - `absent`, with its 95 % percentile interval, bootstrap over groups"
_VALUE = "the metric, with its 95 % interval over groups"


def _of_classes(table: pd.DataFrame) -> bool:
    """Say whether metrics of single classes, such as tpr[nv], are among the rows."""
    return bool(table["metric"].astype(str).str.contains("[", regex=False).any())


BIAS = declare(
    Table(
        "bias",
        about="One row per artifact or group of patients, and metric: the metric over its images "
        "beside that over all others.",
        source=USAGE,
        columns=(
            Field("feature", "artifact, or feature and category: `sex=female`", "text"),
            Field("metric", "`balanced_accuracy`, `auc`, `tpr`, `fpr`; of more than two classes "
                  "`tpr[NAME]`, `fpr[NAME]`", "text"),
            Field("n_present", "images with the artifact, or of the group", "count", "images"),
            Field("n_absent", "all other images of which the feature is known", "count", "images"),
            Field("present", "the metric over the images with it", range="0 to 1"),
            Field("absent", "the metric over the others", range="0 to 1"),
            Field("gap", _GAP, range="-1 to 1", chance="0"),
            Field("gap_low", _GAP, range="-1 to 1", chance="0"),
            Field("gap_high", _GAP, range="-1 to 1", chance="0"),
            Field("p_value", "presence permuted within each label, groups kept together, "
                  "two-sided", "p"),
            Field("p_adjusted", "Holm over all artifacts, and over all groups of patients, apart",
                  "p"),
        ),
        more=(
            Field("cases_present", "fewest images of a class that the metric rests on, on either "
                  "side; below 10 there are no numbers", "count", "images"),
            Field("cases_absent", "fewest images of a class that the metric rests on, on either "
                  "side; below 10 there are no numbers", "count", "images"),
            Field("p_delong", "in rows of `auc`: DeLong's test of equal areas, not adjusted", "p"),
            Field("kind", "of the feature", "text"),
            Field("category", "of a feature that is names", "text"),
            Field("classes", "those that the metric is of, by semicolons", "text"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("metric", "metric", METRICS),
            Text("classes", "classes", on_paper=False, when=_of_classes),
            Number("with", "n_present", 0, "images"),
            Number("without", "n_absent", 0, "images"),
            Number("value with", "present"),
            Number("value without", "absent"),
            Interval("gap × 100", "gap", "gap_low", "gap_high", "95 % interval; no bias: 0",
                     "p_adjusted", 100),
            PValue("p", "p_value", on_paper=False),
            PValue("adjusted p", "p_adjusted", "Holm, whole table"),
        ),
        section=Section(
            "Whether artifacts or groups shift the results",
            "Bias",
            "Each metric over images with the artifact minus the same over those without; over "
            "images of one group, as of an age or a site, minus the same over all others.",
            figure="bias",
            of_class=RATES_OF,
            always=True,
        ),
        printed=Printed(
            "Each metric of {of} over images with a feature, or of one group, as of an age or a "
            "site, beside all others.",
            ("feature", "metric"),
            ("gap × 100",),
            better="near 0",
        ),
        value="gap",
    )
)  # fmt: skip

FAIRNESS = declare(
    Table(
        "fairness",
        about="One row per artifact or feature of the patients, and metric: how far its groups are "
        "apart at most.",
        source=USAGE,
        columns=(
            Field("feature", "its name", "text"),
            Field("kind", "of the feature", "text"),
            Field("metric", "`equalized_odds_difference`, `equalized_odds_ratio`, "
                  "`demographic_parity_difference`", "text"),
            Field("n", "images of the groups compared", "count", "images"),
            Field("categories", "groups that were compared, by semicolons", "text"),
            Field("value", _VALUE, range="0 to 1", chance="`chance`"),
            Field("low", _VALUE, range="0 to 1", chance="`chance`"),
            Field("high", _VALUE, range="0 to 1", chance="`chance`"),
            Field("chance", "mean of the metric over groups assigned at random", range="0 to 1"),
            Field("p_value", "permutation test, groups kept together", "p"),
            Field("p_adjusted", "Holm over features, by metric", "p"),
        ),
        more=(
            Field("left_out", "groups with fewer than 10 images of a class", "text"),
            Field("classes", "those that the groups were compared on", "text"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("metric", "metric", METRICS),
            Number("images", "n", 0),
            Text("groups compared", "categories"),
            Interval("value", "value", "low", "high", "95 % interval; alike: 0, a ratio 1",
                     "p_adjusted"),
            Number("by chance", "chance", 3, "groups assigned at random"),
            PValue("p", "p_value", on_paper=False),
            PValue("adjusted p", "p_adjusted", "Holm, by metric"),
        ),
        section=Section(
            "How far groups are apart",
            "Fairness",
            "The largest gap of any two groups. A largest gap is never 0, even where groups are "
            "treated alike: compare it with what comes out when groups are assigned at random.",
            figure="fairness",
            of_class=RATES_OF,
        ),
        printed=Printed(
            "How far the groups of each feature are apart at most, for {of}.",
            ("feature", "metric"),
            ("value", "by chance"),
        ),
        value="value",
    )
)  # fmt: skip
