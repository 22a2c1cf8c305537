"""Which class an analysis is about: the positive one of two, some against the rest, or each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xattn.errors import UsageError, near

REST = "rest"
"""Name of all classes but the positive ones, where there are several."""


@dataclass(frozen=True)
class Positive:
    """The classes that tpr, fpr and the sign of a score refer to.

    Attributes:
        classes: of the model, in the order of the logits.
        members: those that count as positive; none if each class stands for itself, which takes
            three classes or more.
    """

    classes: tuple[str, ...]
    members: tuple[str, ...]

    @classmethod
    def of(cls, classes: Sequence[str], named: str | Sequence[str] | None = None) -> Positive:
        """Read what a user named.

        Args:
            classes: of the model.
            named: a class, or several that are taken together, also joined by commas. Without any:
                the last of two classes, and none of more.

        Returns:
            Which classes are told apart from which.

        Raises:
            UsageError: one is no class of the model, or no class is left beside them.
        """
        wanted = [named] if isinstance(named, str) else list(named or ())
        members: list[str] = []
        for text in wanted:  # a class may have a comma in its name
            parts = [text] if text in classes else [part.strip() for part in text.split(",")]
            members += [part for part in parts if part]
        for name in members:
            if name not in classes:
                raise UsageError(f"Unknown class {name!r}{near(name, classes)}")
        if wanted and not members:
            raise UsageError(f"Expected a class of {', '.join(classes)}, but got {wanted[0]!r}")
        if not members and len(classes) == 2:
            members = [classes[-1]]
        chosen = tuple(name for name in classes if name in members)
        if chosen and len(chosen) == len(classes):
            raise UsageError(
                f"Expected a class beside the positive ones, but {', '.join(chosen)} are all that "
                "the model knows"
            )
        return cls(tuple(classes), chosen)

    @property
    def each(self) -> bool:
        """Whether every class stands for itself."""
        return not self.members

    @property
    def against_rest(self) -> bool:
        """Whether some of three classes or more are held against all others."""
        return bool(self.members) and len(self.classes) > 2

    @property
    def name(self) -> str:
        """What the positive side is called; "" where there is none."""
        return " or ".join(self.members)

    @property
    def sentence(self) -> str:
        """Say what is told from what, where a choice of classes changes every number; else ""."""
        if not self.against_rest:
            return ""
        others = ", ".join(name for name in self.classes if name not in self.members)
        return f"Scores, rates and decisions are of {self.name} against the rest: {others}"

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of what is told apart: two, the positive one as it lies, or all classes."""
        if self.against_rest:
            return (REST if REST not in self.classes else f"the {REST}", self.name)
        return self.classes

    @property
    def side(self) -> int:
        """Number of the positive one among `sides`; the last one where there is none."""
        return self.sides.index(self.name) if self.members else len(self.sides) - 1

    @property
    def side_of(self) -> NDArray[np.intp]:
        """Number among `sides` of each class, (classes,)."""
        if not self.against_rest:
            return np.arange(len(self.classes))
        return np.array([int(name in self.members) for name in self.classes], dtype=np.intp)

    def log_odds(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log odds of the positive classes (...) from logits (..., classes).

        Args:
            logits: (..., classes).
        """
        inside = np.isin(self.classes, self.members)
        odds: NDArray[np.float64] = np.logaddexp.reduce(
            logits[..., inside], axis=-1
        ) - np.logaddexp.reduce(logits[..., ~inside], axis=-1)
        return odds
