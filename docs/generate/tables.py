"""Tables of the columns of every CSV file of a run folder, from their declarations.

`python docs/generate/tables.py` writes them in docs/*.md anew, each between a line
`<!-- columns: NAME -->` and a line `<!-- end of columns -->`; a test compares them.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from xattn.runs.tables import TABLES, Field, Table

DOCS = Path(__file__).parents[1]

MARKED = re.compile(r"(<!-- columns: (\w+) -->\n)(.*?)(<!-- end of columns -->)", re.DOTALL)

_SIDES = ("unit", "range", "chance")
"""What stands beside the meaning, as far as a column of the table has it."""


def columns(table: Table) -> str:
    """Return the Markdown table of a table's columns; neighbours of one meaning share a row."""
    every = (*table.columns, *table.more, *table.sometimes)
    sides = [side for side in _SIDES if any(getattr(column, side) for column in every)]
    lines = ["| column | is | " + "".join(f"{side} | " for side in sides)]
    lines.append("|---" * (2 + len(sides)) + "|")
    for _, same in groupby(every, key=_what):
        group = list(same)
        cells = [", ".join(f"`{column.name}`" for column in group), _escaped(group[0].meaning)]
        cells += [_escaped(getattr(group[0], side)) for side in sides]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _what(column: Field) -> tuple[str, ...]:
    return (column.meaning, column.unit, column.range, column.chance)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def renewed(markdown: str) -> str:
    """Return a page with its tables of columns written anew."""
    return MARKED.sub(
        lambda found: f"{found[1]}{columns(TABLES.find(found[2]))}{found[4]}", markdown
    )


def reference() -> str:
    """Return the page of all tables: what a row is, which command writes it, its columns."""
    parts = [
        "# Tables\n\nThe CSV files of a run folder and of a comparison. A file may hold more "
        "columns after these; how the numbers are made, and what they do not show, is on the page "
        "of the command.\n"
    ]
    for name, table in TABLES.items():
        by = f" Written by `{table.written_by}`." if table.source else ""
        parts.append(f"## {name}.csv\n\n{table.about}{by}\n\n{columns(table)}")
    return "\n".join(parts)


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
