"""faithfulness.csv: does the model need what the maps show, and the map the model?"""

from __future__ import annotations

from xattn.runs.tables import Column, Source, Table, declare

_VALUE = "mean score, with its 95 % interval by bootstrap over groups, or over images"
_CONTROLS = "means of the controls on the same images"
_P = "sign-flip tests of the paired differences from each control, group by group, two-sided"

FAITHFULNESS = declare(
    Table(
        "faithfulness",
        about="One row per method, target and score, the controls' own rows among them.",
        source=Source("xattn explain --evaluate", "faithfulness.json"),
        columns=(
            Column("method", "attribution method or control", "text"),
            Column("target", "explained class", "text"),
            Column("grid", "of the maps", "text"),
            Column("score", "its name", "text"),
            Column("better", "`higher` or `lower`", "text"),
            Column("n", "images whose map can be ranked", "count", "images"),
            Column("value", _VALUE, chance="`random`, `edges`"),
            Column("low", _VALUE, chance="`random`, `edges`"),
            Column("high", _VALUE, chance="`random`, `edges`"),
            Column("random", _CONTROLS),
            Column("p_random", _P, "p"),
            Column("edges", _CONTROLS),
            Column("p_edges", _P, "p"),
            Column("p_value", "the larger of the two, 1 where a control is ahead", "p"),
            Column("p_adjusted", "Holm over all methods and the first four scores", "p"),
            Column("beats_controls", "ahead of both controls, `p_adjusted` at most 0.05", "flag"),
            Column("cells", "(row, column) of the first and the last cell", "text",
                   "pixels of the input"),
        ),
    )
)  # fmt: skip
