"""errors.csv: inputs that could not be used."""

from __future__ import annotations

from xattn.runs.tables import Field, Table, declare

ERRORS = declare(
    Table(
        "errors",
        about="One row per input that could not be used.",
        columns=(
            Field("file", "the input", "text"),
            Field("stage", "where it failed, such as decode or mask", "text"),
            Field("error", "why, in one line", "text"),
        ),
    )
)
