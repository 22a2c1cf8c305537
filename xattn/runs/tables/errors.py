"""errors.csv: inputs that could not be used."""

from __future__ import annotations

from xattn.runs.tables import Column, Table, declare

ERRORS = declare(
    Table(
        "errors",
        about="One row per input that could not be used.",
        columns=(
            Column("file", "the input", "text"),
            Column("stage", "where it failed, such as decode or mask", "text"),
            Column("error", "why, in one line", "text"),
        ),
    )
)
