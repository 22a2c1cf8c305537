"""Numbers as text: rounded to what their interval can tell, never more."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from xattn.runs.tables.names import METHODS

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
NOT_KNOWN = "\N{EN DASH}"


def decimals(low: float, high: float, most: int = 4) -> int:
    """Return how many decimals an interval supports: two significant digits of its half-width.

    >>> decimals(1.71, 1.95), decimals(10.0, 90.0)
    (2, 0)
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return 2
    return min(most, max(0, 1 - math.floor(math.log10(half))))


def fixed(value: float, places: int = 2) -> str:
    """Write a number with that many decimals, a true minus sign, and thousands apart.

    >>> fixed(-0.04, 1), fixed(1234.5, 0), fixed(float("nan"))
    ('0.0', '1,234', '–')
    """
    if not math.isfinite(value):
        return NOT_KNOWN
    text = f"{value:,.{places}f}"
    if text.startswith("-"):
        text = MINUS + text[1:] if any(c in "123456789" for c in text) else text[1:]
    return text


def with_interval(value: float, low: float, high: float, unit: str = "") -> str:
    """Write a number and its interval, all rounded to the interval.

    >>> with_interval(1.8234, 1.71, 1.9512)
    '1.82 [1.71, 1.95]'
    """
    places = decimals(low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return fixed(value, places) + (unit if math.isfinite(value) else "")
    return f"{fixed(value, places)}{unit} [{fixed(low, places)}, {fixed(high, places)}]"


def p_value(p: float, smallest: float | None = None) -> str:
    """Write a p-value; one at the floor of its permutations is shown as a bound.

    Args:
        p: the p-value, NaN where nothing was tested.
        smallest: the least that could have come out, if it is known.

    >>> p_value(0.0313), p_value(0.001, smallest=0.001), p_value(0.00002)
    ('0.031', '≤ 0.001', '< 0.001')
    """
    if not math.isfinite(p):
        return NOT_KNOWN
    # Tables keep six digits.
    if smallest is not None and p <= smallest * (1 + 1e-5):
        return f"≤ {smallest:.2g}"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_phrase(p: float, smallest: float | None = None) -> str:
    """Write a p-value for a sentence.

    >>> p_phrase(0.001, smallest=0.001), p_phrase(0.2)
    ('p ≤ 0.001', 'p = 0.20')
    """
    text = p_value(p, smallest)
    return f"p {text}" if text[0] in "≤<" else f"p = {text}"


def count(n: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun.

    >>> count(1, "image"), count(2594, "image"), count(0, "class", "classes")
    ('1 image', '2,594 images', 'no classes')
    """
    noun = one if n == 1 else (many or one + "s")
    return f"{n:,} {noun}" if n else f"no {noun}"


def listed(words: Sequence[str], total: int | None = None) -> str:
    """Join words as in a sentence; with a larger total, say how many more there are.

    >>> listed(["a", "b", "c"]), listed(["a", "b"], total=5)
    ('a, b and c', 'a, b and 3 more')
    """
    shown = list(words)
    if total is not None and total > len(shown):
        shown.append(f"{total - len(shown):,} more")
    if len(shown) < 2:
        return "".join(shown)
    return ", ".join(shown[:-1]) + " and " + shown[-1]


def readable(name: str) -> str:
    """Turn a column's or feature's name into words; characters that do not print are replaced.

    >>> readable("pigment_network")
    'pigment network'
    """
    return "".join(c if c.isprintable() else "�" for c in name).replace("_", " ")


def named(value: str, words: Mapping[str, str]) -> str:
    """Name a value as readers know it; what is of one class, such as tpr[nv], with the class.

    Args:
        value: of a table's cell.
        words: value -> what readers know it as; others are made readable.

    >>> named("tpr[nv]", {"tpr": "sensitivity"}), named("false_rate", {})
    ('sensitivity for nv', 'false rate')
    """
    if value in words:
        return words[value]
    kind, bracket, name = value.partition("[")
    if not bracket or kind not in words:
        return readable(value)
    return f"{words[kind]} for {readable(name.removesuffix(']'))}"


def method_name(method: str) -> str:
    """Name an attribution method as papers do, with its target where it has one.

    >>> method_name("gradcam"), method_name("attention"), method_name("gradcam@nv")
    ('Grad-CAM', 'attention', 'Grad-CAM for nv')
    """
    name, at, target = method.partition("@")
    known = METHODS.get(name, readable(name))
    return f"{known} for {readable(target)}" if at else known


def text_of(cell: Any) -> str:
    """Return the text of a table's cell, "" where it is empty."""
    return "" if cell is None or cell != cell else str(cell)


def predicted_words(name: str) -> str:
    """Say which class was predicted, shortened; none is where outputs are independent.

    >>> predicted_words("malignant"), predicted_words("")
    ('predicted malignant', 'no single prediction')
    """
    return f"predicted {shortened(readable(name), 12)}" if name else "no single prediction"


def unbroken(text: str) -> str:
    """Keep numbers with their units, p-values and intervals from being broken over lines."""
    text = re.sub(r"(?<=\d) (?=%|\[)", NO_BREAK, text)
    text = re.sub(r"\bp ([=<≤]) ", f"p{NO_BREAK}\\1{NO_BREAK}", text)
    return re.sub(r"\[[^][]{1,40}\]", lambda m: m.group().replace(" ", NO_BREAK), text)


def shortened(name: str, most: int) -> str:
    """Shorten a long name in its middle, so that both ends stay readable.

    >>> shortened("ISIC_0000000_downsampled", 13)
    'ISIC_0…ampled'
    """
    clean = "".join(c if c.isprintable() else "�" for c in name)
    if len(clean) <= most:
        return clean
    head = most // 2
    return clean[:head] + "…" + clean[len(clean) - (most - head - 1) :]
