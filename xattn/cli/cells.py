"""What stands in a cell of a printed table: every number by these, so that none is `nan`."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

NOT_KNOWN = "-"
"""Stands for what a table has no value of; the report has a dash there too."""


def cell(value: Any, how: str | None = None) -> str:
    """Write a value of a table.

    Args:
        value: of any type; what is missing, or a number without end, is not known.
        how: format of a number; default three significant digits, whole numbers as they are.

    >>> cell(0.12345), cell(float("nan")), cell(None), cell("ruler"), cell(47), cell(-1e-9, ".2f")
    ('0.123', '-', '-', 'ruler', '47', '0.00')
    """
    if not is_known(value):
        return NOT_KNOWN
    if how is None and (isinstance(value, Integral) or not isinstance(value, Real)):
        return str(value)
    text = format(value, how or ".3g")
    return text if any(digit in "123456789" for digit in text) else text.replace("-", "")


def with_interval(value: float, low: float, high: float) -> str:
    """Write a number and its interval, as far as they are known.

    >>> with_interval(0.5, 0.25, 0.75), with_interval(0.5, math.nan, math.nan)
    ('0.50 [0.25, 0.75]', '0.50')
    """
    text = cell(value, ".2f")
    ends = is_known(value) and is_known(low) and is_known(high)
    return f"{text} [{cell(low, '.2f')}, {cell(high, '.2f')}]" if ends else text


def is_known(value: Any) -> bool:
    """Say whether a table has a value here."""
    try:
        there = value is not None and bool(value == value)
    except TypeError:  # pandas' NA neither is nor is not itself
        return False
    return there and (not isinstance(value, Real) or math.isfinite(value))
