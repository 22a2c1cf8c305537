"""Where a table stands: its section of the report, and its place in a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LOGIT_OF, RATES_OF = "the logit is that", "TPR and FPR are those"
"""What is of one class, see `Section.of_class`."""


@dataclass(frozen=True)
class Section:
    """A section of the report that shows a table and its figure.

    Attributes:
        title: heading.
        short: word in the navigation.
        lead: how to read it.
        figure: name of the figure, "" for none.
        of_class: `LOGIT_OF` or `RATES_OF` where the numbers are of one class, which the
            report then names; "" where they are of none.
        always: stand in the report even without the table, and say how to make it.
    """

    title: str
    short: str
    lead: str
    figure: str = ""
    of_class: str = ""
    always: bool = False


@dataclass(frozen=True)
class Printed:
    """A table in a paper.

    Attributes:
        caption: "{of}" stands for the models.
        rows: titles of the columns that say what a row is about.
        values: titles of the columns that each of several models beside each other has.
        where: column -> value: rows of the CSV file that are printed.
        shared: titles of the columns that come once for several models.
        better: which value is best: "high", "low", "near 0", "metric" (by the row's metric), or ""
            for none.
        strongest_of: column; of several rows of equal values in it, the one of least p-value
            stands for them where several models stand beside each other.
        note: what is to be said then.
        of: kind of folder that it is made of.
    """

    caption: str
    rows: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    better: Literal["high", "low", "near 0", "metric", ""] = ""
    strongest_of: str = ""
    note: str = ""
    of: Literal["run", "comparison"] = "run"
