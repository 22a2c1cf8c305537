"""Where the results of a study's networks lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """A network of which all is measured.

    Attributes:
        model: name of its recipe.
        run: its run folder, with tables of feature usage.
        scored: its evaluation.
    """

    model: str
    run: Path
    scored: Path
