"""The tables of a run folder, each declared once: its columns, what they mean, how they are shown.

The CSV writer, the documentation, the report and the tables of papers all read the declarations.
A new table is a file in this package:

    from xattn.runs.tables import Field, Section, Table, declare

    declare(
        Table(
            "sharpness",
            about="One row per method: how sharp its maps are.",
            columns=(
                Field("method", "attribution method", "text"),
                Field("sharpness", "mean gradient of the maps", unit="per pixel"),
            ),
            section=Section("How sharp the maps are", "Sharpness", "Mean gradient of each map."),
            printed=Printed("Sharpness of the maps of {of}.", ("method",), ("sharpness",)),
        )
    )

An analysis then writes it with `RunFolder.write_table("sharpness", table)`.
"""

from dataclasses import replace

from xattn.registry import Registry
from xattn.runs.tables.layout import Printed, Section
from xattn.runs.tables.shown import Each, Interval, Number, PValue, Shown, Text, Used
from xattn.runs.tables.table import Field, Source, Table

TABLES: Registry[Table] = Registry(
    "table",
    package="xattn.runs.tables",
    first=(
        "verdicts",
        "alignment",
        "feature_usage",
        "interventions",
        "doses",
        "concepts",
        "agreement",
        "groups",
        "trap",
        "performance",
        "comparison",
    ),
)
"""By name, in the order in which the report and the documentation show them."""


_TARGET = Field(
    "target", "where outputs are independent, the one that the row is of: there, or not", "text"
)
_OVER_OUTPUTS = Field(
    "p_over_outputs",
    "where outputs are independent, `p_adjusted` times the number of outputs tested, at most 1: "
    "holds over all of them together (Bonferroni)",
    "p",
)
_OF_ANSWERS = ("analysis.json", "evaluation.json")
"""Records of what is measured of each independent output by itself."""


def declare(table: Table) -> Table:
    """Register a table, and return it; those of a model's answers may have a column `target`.

    Raises:
        UsageError: its name is taken.
    """
    if table.source is not None and table.source.record in _OF_ANSWERS:
        tested = "p_adjusted" in table.always
        own = (_OVER_OUTPUTS, _TARGET) if tested else (_TARGET,)
        table = replace(table, sometimes=(*table.sometimes, *own))
    return TABLES.add(table.name, table)


def tables_of_record(record: str) -> list[str]:
    """Return the names of the tables that a record such as "evaluation.json" is of."""
    return [
        name for name, table in TABLES.items() if table.source and table.source.record == record
    ]


def records() -> dict[str, Source]:
    """Return each record of what made some tables -> where these come from."""
    found = [table.source for table in TABLES.values() if table.source and table.source.record]
    # Of several the one that needs no option.
    return {one.record: one for one in sorted(found, key=lambda one: one.option, reverse=True)}


__all__ = [
    "TABLES",
    "Each",
    "Field",
    "Interval",
    "Number",
    "PValue",
    "Printed",
    "Section",
    "Shown",
    "Source",
    "Table",
    "Text",
    "Used",
    "declare",
    "records",
    "tables_of_record",
]
