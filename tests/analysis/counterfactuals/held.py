"""How one edit of one scene is held against the generator's own rendering of what it should be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tests.analysis.counterfactuals.kinds import Spec
from xattn.analysis.interventions.doses.registry import GRADED_EDITS, Altered, DoseCase, Dosed
from xattn.analysis.interventions.pixels import Mask, widened
from xattn.analysis.interventions.registry import INTERVENTIONS, Case, Edited
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError
from xattn.images.levels import Pixels
from xattn.stats.seeds import generator_for
from xattn.synthetic import Rendered
from xattn.synthetic.tissue.plan import NUCLEI

if TYPE_CHECKING:
    from tests.analysis.counterfactuals.task import Task

Measure = Callable[[Subject], float]

_PASTED = (0.001, 0.5)
"""Fractions of the view that a feature must cover to be pasted, as in interventions.csv."""
_DONORS = 8


@dataclass(frozen=True)
class Pair:
    """One edit of one scene at one dose, beside the truth.

    Attributes:
        dose: of a graded edit; NaN of a single one.
        before, edited, true: the scene, the edit of it, and what it should be.
        control, compared: what the control did, and to which image; None without one.
    """

    dose: float
    before: Pixels
    edited: Pixels
    true: Pixels
    control: Pixels | None
    compared: Pixels


@dataclass(frozen=True)
class Held(ABC):
    """An edit, and its truth; see the subclasses.

    Attributes:
        edit: its name in `GRADED_EDITS` or `INTERVENTIONS`.
    """

    edit: str

    @abstractmethod
    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        """Give pairs of one scene; none where the edit cannot be done, or has no such truth."""


@dataclass(frozen=True)
class AtDose(Held):
    """The generator has the very dose of the edit.

    Attributes:
        truth: (spec, dose) -> the scene with so much more.
    """

    truth: Callable[[Spec, float], Spec]

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        rendered, case, dosed = _dosed(self.edit, task, spec)
        for dose in GRADED_EDITS[self.edit].doses if dosed else ():
            yield _at(case, dosed, dose, rendered, task.kind.render(self.truth(spec, dose)))


@dataclass(frozen=True)
class Matched(Held):
    """The dose is that at which the edited image has the value that the true one has.

    Attributes:
        truths: spec -> scenes with more and less.
        value: of the feature; None for that of the edit itself.
    """

    truths: Callable[[Spec], Sequence[Spec]]
    value: Measure | None = None

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        rendered, case, dosed = _dosed(self.edit, task, spec)
        for other in self.truths(spec) if dosed else ():
            true = task.kind.render(other)
            dose = self._matched(case, dosed, true)
            if dose:  # at none a count, of colours, is as it was, and nothing is edited
                yield _at(case, dosed, dose, rendered, true)

    def _matched(self, case: DoseCase, dosed: Dosed, true: Rendered) -> float | None:
        doses = np.sort([*GRADED_EDITS[self.edit].doses, 0.0])
        try:
            goal = self._value(true.image, true.lesion)
            values = [self._of(case, dosed.edit(dose)) for dose in doses]
        except UnmeasurableError:
            return None
        if not min(values) <= goal <= max(values) or (np.diff(values) <= 0).any():
            return None
        return float(np.interp(goal, values, doses))

    def _of(self, case: DoseCase, altered: Altered) -> float:
        lesion = case.lesion if altered.lesion is None else altered.lesion
        assert lesion is not None
        return self._value(case.taken(altered), lesion)

    def _value(self, pixels: Pixels, lesion: Mask) -> float:
        edit = GRADED_EDITS[self.edit]
        measure = self.value or edit.measure or COMPUTED_FEATURES[edit.feature]
        return measure(Subject(pixels, lesion))


@dataclass(frozen=True)
class Moved(Held):
    """The generator draws an artifact where the edit has put it.

    Attributes:
        truth: (spec, x, y) -> the scene with it moved, by fractions of the diagonal.
    """

    truth: Callable[[Spec, float, float], Spec]

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        rendered, case, dosed = _dosed(self.edit, task, spec)
        for dose in GRADED_EDITS[self.edit].doses if dosed else ():
            there = dosed.edit(dose).mask
            assert there is not None
            down, right = (
                np.argwhere(there).mean(axis=0) - np.argwhere(case.mask).mean(axis=0)
            ) / (np.hypot(*case.mask.shape))
            true = task.kind.render(self.truth(spec, float(right), float(down)))
            yield _at(case, dosed, dose, rendered, true)


@dataclass(frozen=True)
class Inpainted(Held):
    """What is inpainted, against the scene without it.

    Attributes:
        without: spec -> the scene without the feature.
    """

    without: Callable[[Spec], Spec]

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        rendered = task.kind.render(spec)
        if (case := _single(task, spec, rendered)) is None:
            return
        other = task.kind.render(self.without(task.kind.scene(spec.seed, spec.index + 1)))
        case = replace(case, reference=lambda: other.image)
        true = task.kind.render(self.without(spec))
        yield from _pair(rendered, INTERVENTIONS[self.edit].edit(case), true)


@dataclass(frozen=True)
class Inserted(Held):
    """What is pasted in from another image, against the scene in which it lies there.

    Attributes:
        without: spec -> the scene without the feature.
        borrowed: (spec, donor's spec) -> the scene, with the feature as it lies in the donor.
    """

    without: Callable[[Spec], Spec]
    borrowed: Callable[[Spec, Spec], Rendered]

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        spec = self.without(spec)
        rendered = task.kind.render(spec)
        for i in range(1, _DONORS):
            giving = task.ready(task.kind.scene(spec.seed, spec.index + i))
            donor = task.kind.render(giving)
            mask = _mask(task, donor)
            if mask is not None and _PASTED[0] < mask.mean() < _PASTED[1]:
                break
        else:
            return
        reference = task.kind.render(self.without(task.kind.scene(spec.seed, spec.index + _DONORS)))
        case = Case(
            rendered.image, mask, rendered.lesion, _skin(rendered), False,
            _rng(task, spec), donor.image, _skin(donor), lambda: reference.image,
        )  # fmt: skip
        edited = INTERVENTIONS[self.edit].edit(case)
        yield from _pair(rendered, edited, self.borrowed(spec, giving))


@dataclass(frozen=True)
class Occluded(Held):
    """The lesion painted over, against the skin without it.

    Attributes:
        without: spec -> the scene without a lesion.
    """

    without: Callable[[Spec], Spec]

    def pairs(self, task: Task, spec: Spec) -> Iterator[Pair]:
        rendered = task.kind.render(spec)
        if (case := _single(task, spec, rendered)) is None:
            return
        true = task.kind.render(self.without(spec))
        yield from _pair(rendered, INTERVENTIONS[self.edit].edit(case), true)


def _rng(task: Task, spec: Spec) -> np.random.Generator:
    return generator_for(spec.seed, "held", task.name, spec.index)


def _mask(task: Task, rendered: Rendered) -> Mask | None:
    mask = rendered.masks.get(task.masked) if task.masked else rendered.lesion
    return mask if mask is not None and mask.any() else None


def _skin(rendered: Rendered) -> Mask:
    """Return where there is neither lesion nor artifact; nuclei are what tissue is made of."""
    masks = [mask for name, mask in rendered.masks.items() if name != NUCLEI]
    return ~widened(np.any([rendered.lesion, *masks], axis=0))


def _dosed(edit: str, task: Task, spec: Spec) -> tuple[Rendered, DoseCase, Dosed | None]:
    """Return the scene, the case of an edit, and the edit made ready; None where it cannot be."""
    rendered = task.kind.render(spec)
    nowhere = np.zeros(task.kind.size, dtype=bool)
    mask = _mask(task, rendered)
    case = DoseCase(
        rendered.image, nowhere if mask is None else mask, rendered.lesion, _skin(rendered),
        task.inside, _rng(task, spec),
    )  # fmt: skip
    one = GRADED_EDITS[edit]
    if mask is None and (one.kinds or one.needs_lesion):
        return rendered, case, None
    return rendered, case, GRADED_EDITS[edit].prepare(case)


def _at(case: DoseCase, dosed: Dosed, dose: float, rendered: Rendered, true: Rendered) -> Pair:
    control = None if dosed.control is None else case.taken(dosed.control(dose))
    edited = case.taken(dosed.edit(dose))
    return Pair(dose, rendered.image, edited, true.image, control, rendered.image)


def _single(task: Task, spec: Spec, rendered: Rendered) -> Case | None:
    mask = _mask(task, rendered)
    if mask is None:
        return None
    return Case(
        rendered.image, mask, rendered.lesion, _skin(rendered), task.inside, _rng(task, spec)
    )


def _pair(rendered: Rendered, edited: Edited | None, true: Rendered) -> Iterator[Pair]:
    if edited is not None:
        compared = rendered.image if edited.compared is None else edited.compared
        yield Pair(np.nan, rendered.image, edited.treated, true.image, edited.control, compared)
