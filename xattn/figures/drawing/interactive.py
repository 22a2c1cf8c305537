"""Figures inside a page whose points know their row of the table: SVG elements, no bitmap."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from xattn.figures import style

if TYPE_CHECKING:
    from matplotlib.collections import Collection

POINT, SPAN, BESIDE = "point", "span", "beside"
"""What a mark is of its row: its value, the interval of that, or a control or chance level."""

_SHAPES = {POINT: "use", BESIDE: "use", SPAN: "path"}  # as matplotlib writes them
_GID = re.compile(rf"({POINT}|{SPAN}|{BESIDE})-(\d+)-\d+-((?:\d+\.)*\d+)")
_REFERENCE = re.compile(r"(?<=#)[\w.-]+(?=\))")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_COLOUR = re.compile("|".join(style.DARK))


def mark(marks: Collection, rows: Iterable[int], what: str = POINT) -> None:
    """Name the row of the table that each mark of a collection was drawn from.

    Args:
        marks: added to its axes.
        rows: one number per mark, in its order: the place of the row in the file, from 0.
        what: `POINT`, `SPAN` or `BESIDE`.
    """
    places = [str(int(row)) for row in rows]
    if not places or marks.axes is None:
        return
    panel = [ax is marks.axes for ax in marks.axes.figure.axes].index(True)
    number = list(marks.axes.collections).index(marks)  # no two groups of a file share an id
    marks.set_gid(f"{what}-{panel}-{number}-{'.'.join(places)}")


def inlined(svg: str, rows: Iterable[int], prefix: str) -> str:
    """Turn a saved figure into an element of a page, its marks named by `data-row`.

    Letters must be outlines. Ids get the prefix, metadata and styles of the document go, and
    colours that differ on dark screens become variables, `--on-1b1b1b` for #1b1b1b.

    Args:
        svg: as matplotlib writes it.
        rows: numbers of the rows that the table beside it shows; marks of others stay plain.
        prefix: of this figure alone; letters, digits and dashes.

    Returns:
        The element, "" if no mark belongs to any of the rows.
    """
    root = ElementTree.fromstring(svg)
    shown = set(rows)
    marked = [_mark(group, shown) for group in root.iter()]
    if not any(marked):
        return ""
    kept = {f"#{name}" for e in root.iter() for name in _named_by(e)}
    for parent in root.iter():
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        _plainer(element, kept, prefix)
    root.attrib = {"viewBox": root.attrib["viewBox"],
                   "style": "stroke-linejoin:round;stroke-linecap:butt"}  # fmt: skip
    return ElementTree.tostring(root, encoding="unicode")


def _mark(group: ElementTree.Element, shown: set[int]) -> bool:
    """Give the marks of a group their rows; say whether there was any."""
    found = _GID.fullmatch(group.get("id", ""))
    if found is None:
        return False
    what, panel, places = found[1], found[2], [int(n) for n in found[3].split(".")]
    marks = [e for e in _outside_definitions(group) if _plain(e.tag) == _SHAPES[what]]
    if len(marks) != len(places):
        return False  # one that is not drawn would give its neighbours the wrong rows
    any_shown = False
    for element, place in zip(marks, places, strict=True):
        if place in shown:
            any_shown = True
            element.attrib |= {"class": what, "data-row": str(place), "data-panel": panel}
    return any_shown


def _outside_definitions(element: ElementTree.Element) -> Iterable[ElementTree.Element]:
    for child in element:
        if _plain(child.tag) != "defs":
            yield child
            yield from _outside_definitions(child)


def _named_by(element: ElementTree.Element) -> list[str]:
    """List the ids that an element's attributes refer to."""
    names = []
    for key, value in element.attrib.items():
        if _plain(key) == "href":
            names.append(value.removeprefix("#"))
        elif "url(#" in value:
            names += _REFERENCE.findall(value)
    return names


def _plainer(element: ElementTree.Element, kept: set[str], prefix: str) -> None:
    """Rename ids, drop namespaces and blanks, and shorten numbers to a hundredth of a point."""
    element.tag = _plain(element.tag)
    element.text = element.tail = None  # letters are outlines: what is left are blanks
    attributes = {}
    for key, value in element.attrib.items():
        key = _plain(key)
        if key == "id":
            if f"#{value}" not in kept:
                continue
            value = f"{prefix}-{value}"
        elif key == "href":
            value = f"#{prefix}-{value.removeprefix('#')}"
        elif "url(#" in value:
            value = value.replace("url(#", f"url(#{prefix}-")
        elif key in ("d", "x", "y", "width", "height"):
            value = _LONG.sub(lambda number: f"{float(number[0]):.2f}", value)
        elif key == "style":
            value = _COLOUR.sub(lambda c: f"var(--on-{c[0][1:]},{c[0]})", value)
            value = value.replace(": ", ":").replace("; ", ";")
        attributes[key] = value
    element.attrib = attributes


def _plain(name: str) -> str:
    return name.rpartition("}")[2]
