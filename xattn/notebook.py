"""How results look in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape


def shortly(names: Sequence[str], most: int = 3) -> str:
    """Join names, those beyond the first few as a number.

    >>> shortly(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def facts_html(title: str, facts: Mapping[str, str]) -> str:
    """Return a small table of facts as HTML, every text escaped; empty ones are left out.

    >>> facts_html("<b>", {"n": "3", "empty": ""})
    '<table><caption>&lt;b&gt;</caption><tr><th scope="row">n</th><td>3</td></tr></table>'
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
        for name, text in facts.items()
        if text
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"
