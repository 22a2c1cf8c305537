"""Which verdict follows from all the evidence on a feature, which of it decides, which is against.

Rules, in this order:

- An edit **moves** the score if its adjusted p-value is below alpha and the change is at least
  `SMALLEST_CHANGE` standard deviations of the score: any edit of many images is significant in the
  end, so the size has to count. An edit of a feature's own pixels speaks for
  it: numbers that it changes too are what the feature did to them. A graded edit of a number speaks
  for that number if it is measured to change it, changes no other by more (in standard deviations
  of the run), and none that is shown to be used itself, by an edit of its own or beyond all others:
  what the score then does might be that one's doing. It may change others that nothing shows used.
  A feature of which an edit speaks is used: an edit can fail to move a score that depends on the
  feature (it leaves a part, it comes where the model is sure), but a large change beyond that of an
  equal edit elsewhere does not come of itself. So one that moves outweighs others that do not.
- An edit is **still** if the whole interval lies within +- `SMALLEST_CHANGE`, after it was widened
  for what the edit leaves of the feature: for a number of which less than two standard deviations
  were changed, and for a detector's masks. It is none if it is not known to change the feature
  (a number is measured before and after, and after the control), or has a caveat.
  If nothing moves, all single edits are still, and the graded ones are too (beside single edits of
  the same masks, which have more images, it is enough that they do not move), the feature itself is
  not used: where the score depends on it, it comes with something else. Where it depends also given
  all other features, that something is not annotated.
- Where edits leave it open, dependence given the other features decides, then the size it is shown
  to stay below (equivalence).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import norm

from xattn.analysis.verdicts.edits import Edit
from xattn.runs.tables.verdicts import (
    BEYOND,
    CHANGES,
    COMES_WITH,
    EDIT,
    EQUIVALENCE,
    GIVEN,
    GRADED,
    HARDLY,
    LABEL,
    LEFT_OPEN,
    NOT_TESTABLE,
    NOT_USED,
    UNCLEAR,
)

SMALLEST_CHANGE = 0.2
"""Standard deviations of the score within labels: Cohen's small effect (Cohen 1988)."""
SMALLEST_EFFECT = 0.3
"""Rank effect that a feature must be shown to stay below to be called not used."""
_ONE_SIDED = float(norm.isf(0.05))


@dataclass(frozen=True)
class Limits:
    """What counts.

    Attributes:
        alpha: level of the tests.
        change: standard deviations of the score from which a change matters.
        effect: rank effect that a feature must stay below to be called not used.
        all_held: whether all other features were held fixed; only then is one used beyond all.
    """

    alpha: float = 0.05
    change: float = SMALLEST_CHANGE
    effect: float = SMALLEST_EFFECT
    all_held: bool = True


@dataclass(frozen=True)
class Dependence:
    """What tests of dependence say of a feature.

    Attributes:
        used: dependent given the label.
        beyond: also given the other features; or given these alone, another feature hiding it, and
            not shown to be small.
        small: shown to add less than what matters, given the other features.
        absent: not dependent, and shown to be less than what matters.
    """

    used: bool
    beyond: bool
    small: bool
    absent: bool

    @classmethod
    def of(cls, row: dict[str, Any], limits: Limits) -> Dependence:
        """Read a row of verdicts.csv.

        Args:
            row: with the numbers of the tests.
            limits: level, and the effect that matters.
        """
        used, small = bool(row["used"]), bool(row["p_equivalent"] < limits.alpha)
        beyond = bool(row["p_given_adjusted"] < limits.alpha) and (used or not small)
        below = abs(row["rank_effect"]) + _ONE_SIDED * row["error"] < limits.effect
        return cls(used, beyond, small, not used and not beyond and bool(below or small))


@dataclass(frozen=True)
class Verdict:
    """What follows for a feature.

    Attributes:
        verdict: one of `VERDICTS`.
        decided_by: the evidence that it rests on; "" if there was none.
        contradicts: the evidence against it, edits by name.
    """

    verdict: str
    decided_by: str
    contradicts: tuple[str, ...] = ()


def shown_used(edits: Sequence[Edit], dependence: Dependence, limits: Limits) -> bool:
    """Whether anything shows use of a feature, so that edits that change it too say little.

    Args:
        edits: of the feature.
        dependence: of the feature.
        limits: what counts.
    """
    moved = any(one.moves(limits.alpha, limits.change) for one in edits)
    return moved or (dependence.beyond and limits.all_held)


def speaks(edit: Edit, used: Collection[str]) -> bool:
    """Whether what an edit does to the score is its feature's doing.

    Args:
        edit: of a feature.
        used: other features that are shown to be used, but for those that say the same.
    """
    return edit.by_mask or (edit.mainly and not set(edit.changed_with).intersection(used))


def decide(
    edits: Sequence[Edit], dependence: Dependence, used: Collection[str], limits: Limits
) -> Verdict:
    """Return the verdict on a feature, see the top of this file.

    Args:
        edits: of the feature, those with numbers.
        dependence: of the feature.
        used: other features that are shown to be used.
        limits: what counts.
    """
    moved = [one for one in edits if one.moves(limits.alpha, limits.change)]
    still = [one.name for one in edits if one.still(limits.change)]
    own = [one for one in moved if speaks(one, used)]
    if own:
        return _by_edits(own, still, dependence)
    if not moved and _all_still(edits, limits):
        by = EDIT if any(not one.graded for one in edits) else GRADED
        if dependence.used or dependence.beyond:
            return Verdict(COMES_WITH, by, (GIVEN,) if dependence.beyond else ())
        return Verdict(NOT_USED, by)
    against = tuple(one.name for one in moved)
    if dependence.beyond and limits.all_held:
        return Verdict(LEFT_OPEN if edits else BEYOND, GIVEN)
    if dependence.used and dependence.small and not dependence.beyond:
        return Verdict(COMES_WITH, EQUIVALENCE, against)
    if dependence.used or dependence.beyond:
        return Verdict(UNCLEAR, LABEL if dependence.used else GIVEN)
    if dependence.absent:
        return Verdict(NOT_USED, EQUIVALENCE, against)
    return Verdict(NOT_TESTABLE, "", against)


def _by_edits(own: Sequence[Edit], still: Sequence[str], dependence: Dependence) -> Verdict:
    """Say what follows of edits that move the score; single ones are named before graded ones."""
    flipping = [one for one in own if one.flips]
    verdict = CHANGES if flipping else HARDLY
    single = any(not one.graded for one in flipping or own)
    against = list(still)
    # Taken away by its mask and by its opacity, a feature moves the score to the same side.
    removed = [one for one in own if one.more and (one.graded or one.more < 0)]
    if {one.graded for one in removed} == {True, False}:
        sides = {one.change * one.more > 0 for one in removed}
        against += [one.name for one in removed if one.graded] if len(sides) > 1 else []
    if dependence.absent:
        against.append(LABEL)
    elif dependence.small and not dependence.beyond:
        against.append(EQUIVALENCE)
    return Verdict(verdict, EDIT if single else GRADED, tuple(against))


def _all_still(edits: Sequence[Edit], limits: Limits) -> bool:
    single = [one for one in edits if not one.graded]
    asked = single or edits
    return bool(asked) and all(one.still(limits.change) for one in asked)
