"""Columns as people see them: one or several columns of a CSV file, rounded and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def _always(table: pd.DataFrame) -> bool:
    return True


@dataclass(frozen=True)
class Shown:
    """A column of the report, and of papers where there is room.

    Attributes:
        title: of its head.
        column: of the CSV file; where a file lacks it, the column is not shown.
    """

    title: str
    column: str


@dataclass(frozen=True)
class Text(Shown):
    """Words.

    Attributes:
        words: value -> what readers know it as; "tpr" stands for "tpr[nv]" too. Others are made
            readable, underscores as blanks.
        verbatim: leave values letter by letter, as names of models that people type.
        order: values in the order they are sorted in; by default by the alphabet.
        brief: value -> what stands for it on paper, spelt out below the table.
        on_paper: whether it is printed.
        when: whether a table shows it.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    verbatim: bool = False
    order: tuple[str, ...] = ()
    brief: Mapping[str, str] = field(default_factory=dict)
    on_paper: bool = True
    when: Callable[[pd.DataFrame], bool] = _always


@dataclass(frozen=True)
class Number(Shown):
    """A number.

    Attributes:
        places: decimals.
        note: its level of chance, or another note in the head.
        marked_by: column of adjusted p-values behind its stars; "" for no stars.
        on_paper: whether it is printed.
    """

    places: int = 3
    note: str = ""
    marked_by: str = ""
    on_paper: bool = True


@dataclass(frozen=True)
class Interval(Shown):
    """A number with its interval, rounded to it.

    Attributes:
        low, high: columns of the limits.
        note, marked_by, on_paper: as of `Number`.
        factor: 1 or 100; shown are the values times this.
    """

    low: str
    high: str
    note: str = ""
    marked_by: str = ""
    factor: float = 1.0
    on_paper: bool = True


@dataclass(frozen=True)
class PValue(Shown):
    """A p-value; one at the floor of its permutations is shown as a bound.

    Attributes:
        note: in the head.
        on_paper: whether it is printed.
    """

    note: str = ""
    on_paper: bool = True


@dataclass(frozen=True)
class Used(Shown):
    """What a usage test found: used, not shown, not tested.

    Attributes:
        tested: column of the adjusted p-value, empty where nothing was tested.
        on_paper: whether it is printed.
    """

    tested: str = "p_adjusted"
    on_paper: bool = True


@dataclass(frozen=True)
class Each:
    """Columns that come once for each name, such as each method.

    Attributes:
        name: what stands for it in `shown`, "<method>", in titles as in columns. The names are
            those of the first column's in the file.
        shown: the columns.
    """

    name: str
    shown: tuple[Shown, ...]
