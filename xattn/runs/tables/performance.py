"""performance.csv, confusion.csv and reliability.csv: how well a model predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xattn.runs.tables import (
    Each,
    Field,
    Interval,
    Number,
    Printed,
    Section,
    Table,
    Text,
    declare,
)
from xattn.runs.tables.names import METRICS, SPLITS
from xattn.runs.tables.sources import EVALUATE

if TYPE_CHECKING:
    import pandas as pd

_OVER_GROUPS = "95 % interval over groups"
_VALUE = "the metric and its 95 % interval"
_FRACTION = "fraction of the label's images predicted as the class, with its 95 % interval"
_PREDICTED = "predicted as "


def _several_domains(table: pd.DataFrame) -> bool:
    return bool((table["domain"] != "all").any())


def _a_row_per_label(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per split and label, with a column "predicted as <class>" per class."""
    import pandas as pd

    rows = []
    for (split, label), own in table.groupby(["split", "label"], sort=False):
        counts = dict(zip(own["predicted"].astype(str), own["n"], strict=True))
        row = {"split": split, "label": str(label), "images": own["images"].iloc[0]}
        row |= {f"{_PREDICTED}{predicted}": n for predicted, n in counts.items()}
        hit = own[own["predicted"].astype(str) == str(label)].iloc[0]
        rows.append(row | {key: hit[key] for key in ("value", "low", "high", "chance")})
    return pd.DataFrame(rows)


PERFORMANCE = declare(
    Table(
        "performance",
        about="One row per split, domain, metric and class.",
        source=EVALUATE,
        columns=(
            Field("split", "`test`, `ood`, `val` or `all`; in rows of `ood-test` the values are "
                  "those of ood minus those of test", "text"),
            Field("domain", "`all`, or one value of the domain; in rows of `ood-test`, that "
                  "domain of `ood` minus all of `test`", "text"),
            Field("metric", "see the table of metrics", "text"),
            Field("class", "`all` where the metric is of all classes together", "text"),
            Field("n", "images", "count", "images"),
            Field("groups", "groups that were resampled", "count", "groups"),
            Field("value", _VALUE, chance="`chance`"),
            Field("low", _VALUE, chance="`chance`"),
            Field("high", _VALUE, chance="`chance`"),
            Field("chance", "what the metric is without any knowledge of the image"),
        ),
        shown=(
            Text("split", "split", SPLITS),
            Text("domain", "domain", when=_several_domains),
            Text("metric", "metric", METRICS),
            Text("class", "class"),
            Number("images", "n", 0),
            Number("groups", "groups", 0, on_paper=False),
            Interval("value", "value", "low", "high", _OVER_GROUPS),
            Number("by chance", "chance", 3, "knowing nothing of the image"),
        ),
        section=Section(
            "How well it predicts",
            "Performance",
            "Each metric beside what knowing nothing of the image gives, on images like those of "
            "the training and on images of another origin, where there are any.",
            figure="calibration",
        ),
        printed=Printed(
            "Performance of {of}.",
            ("split", "metric", "class"),
            ("value",),
            where={"domain": "all"},
            shared=("by chance",),
            better="metric",
        ),
    )
)  # fmt: skip

CONFUSION = declare(
    Table(
        "confusion",
        about="One row per split, label and predicted class.",
        source=EVALUATE,
        columns=(
            Field("split", "`test`, `ood`, `val` or `all`", "text"),
            Field("label", "of the images", "text"),
            Field("predicted", "class", "text"),
            Field("n", "images of the label predicted as the class", "count", "images"),
            Field("images", "images of the label", "count", "images"),
            Field("value", _FRACTION, range="0 to 1", chance="`chance`"),
            Field("low", _FRACTION, range="0 to 1", chance="`chance`"),
            Field("high", _FRACTION, range="0 to 1", chance="`chance`"),
            Field("chance", "fraction of all images predicted as the class: the same "
                  "predictions assigned to images at random", range="0 to 1"),
        ),
        shaped=_a_row_per_label,
        shown=(
            Text("split", "split", SPLITS),
            Text("label", "label", verbatim=True),
            Number("images", "images", 0),
            Each("<class>", (Number("as <class>", f"{_PREDICTED}<class>", 0),)),
            Interval("recognised", "value", "low", "high", _OVER_GROUPS),
            Number("by chance", "chance", 3, "the same predictions assigned at random"),
        ),
        section=Section(
            "What is taken for what",
            "Confusion",
            "Images of each label by the class predicted. Recognised is the label's sensitivity; "
            "by chance is what the same predictions, assigned to images at random, recognise of "
            "it.",
            figure="confusion",
        ),
        printed=Printed(
            "Images of each label by the class that {of} predicted.",
            ("split", "label"),
            ("recognised",),
            shared=("by chance",),
            better="high",
        ),
    )
)  # fmt: skip

RELIABILITY = declare(
    Table(
        "reliability",
        about="One row per split, kind of bins, and bin that is not empty: accuracy against "
        "confidence.",
        source=EVALUATE,
        columns=(
            Field("split", "`test`, `ood`, `val` or `all`", "text"),
            Field("domain", "`all`", "text"),
            Field("bins", "`equal width`, or `equal mass`: of equally many images",
                  "text"),
            Field("bin", "its number, from 0", "count"),
            Field("n", "images in the bin", "count", "images"),
            Field("confidence", "mean probability of the predicted class", range="0 to 1"),
            Field("accuracy", "fraction predicted right", range="0 to 1",
                  chance="`expected_low` to `expected_high`"),
            Field("low", "95 % interval of the accuracy", range="0 to 1"),
            Field("high", "95 % interval of the accuracy", range="0 to 1"),
            Field("expected_low", "95 % of the accuracies that a calibrated model would show",
                  range="0 to 1"),
            Field("expected_high", "95 % of the accuracies that a calibrated model would show",
                  range="0 to 1"),
        ),
        sometimes=(
            Field("from", "range of the bin", range="0 to 1"),
            Field("to", "range of the bin", range="0 to 1"),
        ),
    )
)  # fmt: skip
