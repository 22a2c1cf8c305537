"""A finding: one whole sentence, or the words that lead to features with their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from xattn.figures.numbers import listed


@dataclass(frozen=True)
class Item:
    """A feature, and the numbers behind what is said of it; "" for none."""

    name: str
    numbers: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.numbers})" if self.numbers else self.name


@dataclass(frozen=True)
class Finding:
    """What tables say, as a sentence; a page may set its items below each other.

    Attributes:
        says: a whole sentence if there are no items, else the words before the first.
        items: features in the order of their weight.
        total: how many features it is true of, those without an item too; None: only these.
    """

    says: str
    items: tuple[Item, ...] = ()
    total: int | None = None

    @property
    def more(self) -> int:
        """The number of features it is true of that have no item."""
        return max(0, (self.total or 0) - len(self.items))

    @property
    def reads_as_list(self) -> bool:
        """Whether its items, each with numbers, are too much for one sentence."""
        return len(self.items) > 1 and any(item.numbers for item in self.items)

    def __str__(self) -> str:
        if not self.items:
            return self.says
        return f"{self.says} {listed([str(item) for item in self.items], self.total)}."
