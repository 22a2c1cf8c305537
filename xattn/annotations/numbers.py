"""Numbers as people write them: decimal commas, separated thousands, and codes for not known."""

from __future__ import annotations

import re
from collections.abc import Sequence

MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "nil", "unknown", "unk", "?", "--",
     "not available", "not known", "missing", "#value!", "#ref!"}
)  # fmt: skip
"""Cells that say nothing, in lower case."""
_MAYBE = frozenset({"none", "-", "."})
"""Cells that say nothing among numbers, and may be a value among texts (`none`, `+` and `-`)."""

_PLAIN = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_DOTS_THEN_COMMA = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")
_COMMAS_THEN_DOT = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_ZERO_FIRST = re.compile(r"[-+]?0\d")

_CODES = (-1, -9, -99, -999, -9999, 999, 9999, 99999)
"""Numbers that stand for "not known" in many tables."""
_FEWEST = 3
"""Other values that a column must have for such a number to be no value."""
_FAR = 10
"""Times the largest other value from which on such a number is none."""


def says_nothing(cell: str, among_numbers: bool = True) -> bool:
    """Say whether a cell stands for a value that is not known."""
    return cell.lower() in MISSING or (among_numbers and cell.lower() in _MAYBE)


def plain_numbers(cells: Sequence[str], delimiter: str) -> tuple[list[str], str]:
    """Write numbers with commas as plain ones, if all cells of a column are numbers.

    >>> plain_numbers(["4,12", "", "5"], ";")
    (['4.12', '', '5'], 'decimal commas are read as such (4,12 is 4.12)')
    >>> plain_numbers(["1.234,5", "2"], ";")[0], plain_numbers(["1,234,567"], ",")[0]
    (['1234.5', '2'], ['1234567'])

    Args:
        cells: of one column.
        delimiter: of the table. Where a comma separates cells, `1,234` in quotes is a thousand and
            more; elsewhere it is a decimal comma; both are said, since it could be the other.

    Returns:
        The cells, and what was done or could not be, or "".
    """
    given = list(cells)
    first = next((cell for cell in given if "," in cell), None)
    if first is None:
        return given, ""
    known = [cell for cell in given if not says_nothing(cell)]
    if any(_ZERO_FIRST.match(cell) and not cell.startswith(("0,", "0.")) for cell in known):
        return given, ""  # names such as 004,1
    with_comma = [cell for cell in known if "," in cell]

    def all_are(*kinds: re.Pattern[str]) -> bool:
        return all(any(kind.fullmatch(cell) for kind in kinds) for cell in known)

    surely_thousands = any(cell.count(",") > 1 or "." in cell for cell in with_comma)
    if all_are(_PLAIN, _COMMAS_THEN_DOT) and (surely_thousands or delimiter == ","):
        plain = {cell: cell.replace(",", "") for cell in with_comma}
        said = "commas are read as separators of thousands"
        if not surely_thousands:
            said += "; if they are decimal commas, write a point"
    elif all_are(_PLAIN, _COMMA, _DOTS_THEN_COMMA) and any(
        _DOTS_THEN_COMMA.fullmatch(cell) for cell in with_comma
    ):
        plain = {
            cell: cell.replace(".", "").replace(",", ".")
            for cell in known
            if _DOTS_THEN_COMMA.fullmatch(cell) or "," in cell
        }
        first = next(cell for cell in with_comma if _DOTS_THEN_COMMA.fullmatch(cell))
        said = "decimal commas and points between thousands are read as such"
    elif all_are(_PLAIN, _COMMA):
        plain = {cell: cell.replace(",", ".") for cell in with_comma}
        said = "decimal commas are read as such"
        if all(_COMMAS_THEN_DOT.fullmatch(cell) for cell in with_comma):
            said = "commas are read as decimal commas; if they separate thousands, leave them out"
    else:
        odd = [c for c in known if not _PLAIN.fullmatch(c) and not _COMMA.fullmatch(c)]
        # Without a number with a comma it is told as of any column, see `rows.as_values`.
        if len(odd) * 2 < len(known) and any(map(_COMMA.fullmatch, with_comma)):
            return given, (
                f"is read as text, though most cells are numbers, for {len(odd):,} are none, such "
                f"as {odd[0]!r}"
            )
        return given, ""
    what, dot, rest = said.partition(";")
    return [
        plain.get(cell, cell) for cell in given
    ], f"{what} ({first} is {plain[first]}){dot}{rest}"


def codes_for_unknown(numbers: Sequence[float]) -> list[tuple[float, str]]:
    """Return the numbers of a column that stand for "not known", each with the reason.

    >>> codes_for_unknown([55, 60, -1, 42]), codes_for_unknown([1, -1, 0, 1])
    ([(-1, 'no other is below 0')], [])

    -1, -9, -99 and so on are such codes in a column of three or more other values that has no
    other negative; 999, 9999 and 99999 where they are ten times the largest other value.
    """
    values = set(numbers)
    others = values - set(_CODES)
    found: list[tuple[float, str]] = []
    if len(others) < _FEWEST:
        return []
    lowest, highest = min(others), max(others)
    for code in _CODES:
        if code not in values:
            continue
        if code < 0 and lowest >= 0:
            found.append((code, "no other is below 0"))
        elif code > 0 and highest > 0 and code >= _FAR * highest:
            found.append((code, f"the others end at {highest:g}"))
    return found
