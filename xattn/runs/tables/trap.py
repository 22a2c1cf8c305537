"""trap.csv: what is lost where artifacts turn against the label."""

from __future__ import annotations

from dataclasses import replace

from xattn.runs.tables import Field, Interval, Number, Printed, Section, Table, Text, declare
from xattn.runs.tables.names import METRICS
from xattn.runs.tables.sources import EVALUATE

_CORRELATION = (
    "phi coefficient of the feature with the last of two classes; with more classes Cramér's V, "
    "which has no sign"
)
_AMPLIFIED = (
    "the metric on `test` (`val` if there is no `test`), with its 95 % percentile interval, "
    "bootstrap over groups"
)
_REVERSED = "the metric on `ood`, with its interval"
_DROP = "`amplified` - `reversed`, with its interval, either side resampled on its own"
_EXPLAINED = (
    "how much smaller the drop is than without regard to the artifact, over the same images; "
    "empty where only images with it, or only those without, are enough on both sides, for then "
    "nothing was corrected"
)

TRAP = declare(
    Table(
        "trap",
        about="One row per `alike_in` and metric: performance where artifacts go with the label "
        "as in training, and where they go against it.",
        source=replace(EVALUATE, option="--trap all"),
        columns=(
            Field("alike_in", "`nothing`: as it is; a feature: among images alike in it; `all`: "
                  "alike in every feature named", "text"),
            Field("metric", "`balanced_accuracy` or `auc`", "text"),
            Field("n_amplified", "images compared on either side", "count", "images"),
            Field("n_reversed", "images compared on either side", "count", "images"),
            Field("correlation_amplified", _CORRELATION, range="-1 to 1", chance="0"),
            Field("correlation_reversed", _CORRELATION, range="-1 to 1", chance="0"),
            *(Field(f"amplified{end}", _AMPLIFIED, range="0 to 1")
              for end in ("", "_low", "_high")),
            *(Field(f"reversed{end}", _REVERSED, range="0 to 1") for end in ("", "_low", "_high")),
            *(Field(f"drop{end}", _DROP, range="-1 to 1", chance="0")
              for end in ("", "_low", "_high")),
            *(Field(f"explained{end}", _EXPLAINED, range="-1 to 1", chance="0")
              for end in ("", "_low", "_high")),
        ),
        shown=(
            Text("alike in", "alike_in", {"nothing": "nothing", "all": "all of these"}),
            Text("metric", "metric", METRICS),
            Number("n with", "n_amplified", 0, "images where artifacts go with the label"),
            Number("n against", "n_reversed", 0, "images where they go against it"),
            Interval("with the label", "amplified", "amplified_low", "amplified_high",
                     "95 % interval over groups"),
            Interval("against it", "reversed", "reversed_low", "reversed_high",
                     "95 % interval over groups"),
            Interval("drop", "drop", "drop_low", "drop_high", "no loss: 0"),
            Interval("explained", "explained", "explained_low", "explained_high",
                     "of the drop; by nothing: 0"),
        ),
        section=Section(
            "What is lost where artifacts turn against the label",
            "Trap",
            "In a trap set artifacts go with the label as in training, and against it in a second "
            "set. The second may be harder for other reasons too, so each loss stands beside that "
            "among images alike in the artifact, which it can neither help nor hurt.",
            figure="trap",
        ),
        printed=Printed(
            "Performance of {of} where artifacts go with the label as in training and where they "
            "go against it, as it is and among images alike in an artifact.",
            ("alike in", "metric"),
            ("drop", "explained"),
        ),
    )
)  # fmt: skip
