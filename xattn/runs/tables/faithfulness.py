"""faithfulness.csv: does the model need what the maps show, and the map the model?"""

from __future__ import annotations

from xattn.runs.tables import Field, Source, Table, declare

_VALUE = "mean score, with its 95 % interval by bootstrap over groups, or over images"
_CONTROLS = "means of the controls on the same images"
_P = "sign-flip tests of the paired differences from each control, group by group, two-sided"

FAITHFULNESS = declare(
    Table(
        "faithfulness",
        about="One row per method, target and score, the controls' own rows among them.",
        source=Source("xattn explain --evaluate", "faithfulness.json"),
        columns=(
            Field("method", "attribution method or control", "text"),
            Field("target", "explained class", "text"),
            Field("grid", "of the maps", "text"),
            Field("score", "its name", "text"),
            Field("better", "`higher` or `lower`", "text"),
            Field("n", "images whose map can be ranked", "count", "images"),
            Field("value", _VALUE, chance="`random`, `edges`"),
            Field("low", _VALUE, chance="`random`, `edges`"),
            Field("high", _VALUE, chance="`random`, `edges`"),
            Field("random", _CONTROLS),
            Field("p_random", _P, "p"),
            Field("edges", _CONTROLS),
            Field("p_edges", _P, "p"),
            Field("p_value", "the larger of the two, 1 where a control is ahead", "p"),
            Field("p_adjusted", "Holm over all methods and the first four scores", "p"),
            Field("beats_controls", "ahead of both controls, `p_adjusted` at most 0.05", "flag"),
            Field("cells", "(row, column) of the first and the last cell", "text",
                  "pixels of the input"),
        ),
    )
)  # fmt: skip
