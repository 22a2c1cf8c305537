"""What a table is: the columns of its CSV file, and where else it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from xattn.runs.tables.layout import Printed, Section
from xattn.runs.tables.shown import Each, Number, PValue, Shown, Text

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["text", "count", "number", "p", "flag"]

_PLACES = 3


@dataclass(frozen=True)
class Field:
    """A column of a CSV file.

    Attributes:
        name: as in the file; "<method>" in it stands for a name of the user's own.
        meaning: what it says. Neighbours of the same meaning share a row of the documentation.
        format: "text", "count" (a whole number), "number", "p" (a p-value) or "flag" (True or
            False).
        unit: what it counts or measures; "" for a pure number.
        range: of its values, where that is not plain.
        chance: its level of chance, a number or the column that holds it.
    """

    name: str
    meaning: str
    format: Format = "number"
    unit: str = ""
    range: str = ""
    chance: str = ""


@dataclass(frozen=True)
class Source:
    """Where a table comes from.

    Attributes:
        command: that writes it.
        record: JSON file beside the table with the settings and the hash of the table; "" if
            there is none.
        option: of the command, without which the table is not written.
    """

    command: str
    record: str = ""
    option: str = ""

    @property
    def line(self) -> str:
        """The whole command, for messages about a table that is not there."""
        return f"{self.command} {self.option}".rstrip()


@dataclass(frozen=True)
class Table:
    """A table of a run folder.

    Attributes:
        name: of the CSV file, without its ending.
        about: what a row is, in a sentence or two.
        columns: come first, in this order; the file may hold more, but lacks none of them.
        more: further columns that are always there, if only empty.
        sometimes: further columns, each where what it is about was measured.
        source: what writes it; None if several commands do.
        shown: the columns that people see, in the report and on paper; by default all of
            `columns`, one by one.
        section: of the report; None leaves the table out of it.
        printed: how it stands in a paper; None leaves it out.
        value: column that is empty where there were too few images; such rows are left out where
            the table is shown, and significant ones come first, by the size of this.
        shaped: turns the rows of the file into the rows that are shown.
    """

    name: str
    about: str
    columns: tuple[Field, ...]
    more: tuple[Field, ...] = ()
    sometimes: tuple[Field, ...] = ()
    source: Source | None = None
    shown: tuple[Shown | Each, ...] = ()
    section: Section | None = None
    printed: Printed | None = None
    value: str = ""
    shaped: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    @property
    def promised(self) -> tuple[str, ...]:
        """Names of the columns that come first, and which no file lacks."""
        return tuple(column.name for column in self.columns)

    @property
    def always(self) -> tuple[str, ...]:
        """Names of the columns that a table has, with rows or without."""
        return (*self.promised, *(column.name for column in self.more))

    @property
    def counts(self) -> frozenset[str]:
        """Names of the columns of whole numbers."""
        every = (*self.columns, *self.more, *self.sometimes)
        return frozenset(column.name for column in every if column.format == "count")

    @property
    def written_by(self) -> str:
        """The command that writes it, for messages."""
        return "xattn" if self.source is None else self.source.line

    def for_people(self) -> tuple[Shown | Each, ...]:
        """Return the columns that people see."""
        return self.shown or tuple(map(_plainly, self.columns))


def _plainly(column: Field) -> Shown:
    title = column.name.replace("_", " ")
    if column.format == "p":
        return PValue(title, column.name)
    if column.format in ("text", "flag"):
        return Text(title, column.name)
    places = 0 if column.format == "count" else _PLACES
    note = f"chance: {column.chance}" if column.chance else column.unit
    return Number(title, column.name, places, note)
