"""Widths and type sizes that publishers ask for; `xattn figures --style NAME`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Venue:
    """The room that a figure has in print.

    Attributes:
        column: width of one column, mm.
        text: width for a figure of middle size, mm.
        page: width of the whole page, mm.
        smallest, largest: text sizes that are allowed, points.
        source: where the widths are from.
    """

    column: float
    text: float
    page: float
    smallest: float
    largest: float
    source: str


VENUES: dict[str, Venue] = {
    "default": Venue(
        85, 122, 174, 5, 8,
        "fits the pages of most journals of two columns, and the text of LNCS",
    ),
    "nature": Venue(
        89, 120, 183, 5, 7,
        "research-figure-guide.nature.com: 89 and 183 mm, text of 5 to 7 points",
    ),
    "ieee": Venue(
        88.9, 122, 182, 6, 8,
        "ieeeauthorcenter.ieee.org, size requirements for graphics: 88.9 and 182 mm",
    ),
    "elsevier": Venue(
        90, 140, 190, 6, 8,
        "elsevier.com, artwork sizing: 90, 140 and 190 mm, text of 7 points, at least 6",
    ),
    "lncs": Venue(
        122, 122, 122, 5, 7,
        "Springer LNCS, instructions for authors: one column, printing area of 122 x 193 mm",
    ),
}  # fmt: skip
"""Columns of the default leave some millimetres to spare; `text` of Nature is our choice (1.3
columns), that of IEEE too. Elsevier's are its single, 1.5 and double columns."""
