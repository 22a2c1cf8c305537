"""What is wrong with an annotation file, one line a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.errors import brief
from xattn.images.ids import printable

MOST_SHOWN = 20
"""Problems that an error message lists before it only counts."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes:
        image: id of the image, "images[17]" if it has none, or None if it is the file itself.
        key: the key that it is about, dotted ("masks.ruler"), or "".
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
        return printable(brief(line))


def describe(path: Path, problems: Sequence[Problem]) -> str:
    """Return the text of an error: one line if there is one problem, else one line each."""
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    lines = [f"Expected an annotation file without problems, but got {len(problems)} in {path}:"]
    lines += [f"  {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"  ... and {len(problems) - MOST_SHOWN} more")
    return "\n".join(lines)
