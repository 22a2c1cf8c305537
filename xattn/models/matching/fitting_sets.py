"""Which sets of weights in a file fit an architecture, and what each is called.

Trainings of a teacher and a student, of the best and the last epoch, keep several whole networks
in one file. Where more than one fits, the choice changes every result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xattn.models.checkpoints.containers import Weights
from xattn.models.matching.keys import Reading, best_reading, is_derived


@dataclass(frozen=True)
class FittingSet:
    """A set of weights, read as an architecture's.

    Attributes:
        reading: the weights by the architecture's keys.
        name: keys and prefix that lead to it, joined by points; empty for the file itself.
        agreeing: number of keys that the architecture has in the same shape.
    """

    reading: Reading
    name: str
    agreeing: int

    def is_called(self, name: str) -> bool:
        """Whether it has this name, or the name is one of the keys that lead to it."""
        return name == self.name or name in self.name.split(".")

    def differs(self, other: FittingSet, expected: Mapping[str, Tensor]) -> bool:
        """Whether any weight has other values: a file may name one set twice."""
        mine, theirs = self.reading.state, other.reading.state
        common = [key for key in expected if key in mine and key in theirs and not is_derived(key)]
        return not all(
            mine[key].shape == theirs[key].shape and torch.equal(mine[key], theirs[key])
            for key in common
        )


def fitting_sets(
    sets: Iterable[Weights], expected: Mapping[str, Tensor], module: nn.Module
) -> list[FittingSet]:
    """Return what can be read as an architecture, what fits best first; one of one set or more."""
    found = []
    for one in sets:
        # Sets may share a tensor, such as a counter; here each key has its own.
        state = {key: value.detach() for key, value in one.state.items()}
        while True:
            reading = best_reading(state, expected, module)
            agreeing = reading.agreeing(expected)
            name = f"{one.where}.{reading.prefix}".strip(".")
            found.append(FittingSet(reading, name, agreeing))
            used = {id(value) for key, value in reading.state.items() if key in expected}
            rest = {key: value for key, value in state.items() if id(value) not in used}
            if not agreeing or not agreeing <= len(rest) < len(state):
                break
            state = rest
    return sorted(found, key=lambda one: (one.agreeing, one.reading.usual), reverse=True)


def equally_good(found: list[FittingSet], expected: Mapping[str, Tensor]) -> list[FittingSet]:
    """Return the other sets that are as whole as the first, and are not the same weights."""
    if not found or found[0].agreeing < sum(not is_derived(key) for key in expected):
        return []
    first, *others = found
    kept: list[FittingSet] = []
    for other in others:
        new = all(other.differs(one, expected) for one in (first, *kept))
        if new and other.name != first.name and other.agreeing == first.agreeing:
            kept.append(other)
    return kept
