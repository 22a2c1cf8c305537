"""What is wrong with an annotation file, one line a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.images.ids import printable

MOST_SHOWN = 20
"""Faults that an error message lists before it only counts."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where.

    Attributes:
        image: id of the image, "images[17]" if it has none, or None if the file itself is at fault.
        key: the key at fault, dotted ("masks.ruler"), or "".
        message: one line, "Expected ..., but got ...".
    """

    image: str | None
    key: str
    message: str

    def __str__(self) -> str:
        where = [f"image {self.image}"] if self.image is not None else []
        where += [f"key {self.key}"] if self.key else []
        line = ": ".join([", ".join(where), self.message] if where else [self.message])
        # An id or key may hold half of a pair of surrogates, which no terminal takes.
        return printable(line)


def describe(path: Path, faults: Sequence[Fault]) -> str:
    """Return the text of an error: one line if there is one fault, else one line each."""
    if len(faults) == 1:
        return f"{path}: {faults[0]}"
    lines = [f"Expected an annotation file without faults, but got {len(faults)} in {path}:"]
    lines += [f"  {fault}" for fault in faults[:MOST_SHOWN]]
    if len(faults) > MOST_SHOWN:
        lines.append(f"  ... and {len(faults) - MOST_SHOWN} more")
    return "\n".join(lines)
