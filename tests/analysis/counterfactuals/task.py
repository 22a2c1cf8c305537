"""A feature of the generator that networks learn, and the edits held against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.analysis.counterfactuals.held import Held
from tests.analysis.counterfactuals.kinds import Kind, Spec


def _same(spec: Spec) -> Spec:
    return spec


@dataclass(frozen=True)
class Task:
    """A feature of the generator that networks learn to tell more of from less.

    Attributes:
        name: of the output.
        kind: of the scenes.
        drawn: (spec, more) -> the training image with more of the feature, or with less.
        held: edits and their truths.
        ready: spec -> the scene that is edited, such as one with the artifact.
        masked: feature whose mask is edited; "" for the lesion's.
        inside: whether it is part of the lesion.
        fraction: of the training images that have more.
        of_lesion: whether it is a feature of the lesion, of which nothing is known without one.
    """

    name: str
    kind: Kind
    drawn: Callable[[Spec, bool], Spec]
    held: tuple[Held, ...]
    ready: Callable[[Spec], Spec] = _same
    masked: str = ""
    inside: bool = False
    fraction: float = 0.5
    of_lesion: bool = False

    @property
    def feature(self) -> str:
        """What the edits are of, as a report names it: the artifact, or what is learnt."""
        return self.masked or self.name
