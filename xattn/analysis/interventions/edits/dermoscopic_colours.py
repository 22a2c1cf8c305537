"""The rarest colour of the lesion is taken away, or colours that it lacks are put into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xattn.analysis.interventions.doses.colours import Colours, faded
from xattn.analysis.interventions.doses.registry import (
    Altered,
    DoseCase,
    Dosed,
    graded_edit,
    laid_elsewhere,
    lesion_of,
)
from xattn.analysis.interventions.pixels import Mask, widened
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError
from xattn.features.computed.colour import COLOURS, NO_COLOUR, PRESENT_FROM, colour_numbers
from xattn.images.levels import in_colours
from xattn.stats.arrays import Floats

_DOSES = (-1.0, 1.0, 2.0)
_PART = 0.11
"""Fraction of the lesion that gets a new colour: its border fades, and 0.05 must remain."""
_SOFT = 0.04
"""Standard deviation of that border, of the root of the lesion's area."""
_TEXTURE = 0.3
"""So much of the differences in lightness remains within a new colour."""
_PLACES = 12
"""So many places are tried for a new colour."""


@graded_edit(
    "dermoscopic-colours",
    feature="dermoscopic_colours",
    doses=_DOSES,
    unit="colours",
    domains=("dermoscopy",),
)
def dermoscopic_colours(case: DoseCase) -> Dosed | None:
    """Recolour the rarest colour, or parts to colours it lacks; control: the same change on skin.

    The rarest takes the nearest of the others; a compact part of a tenth of the lesion takes the
    nearest that is missing. Images are left out whose count of colours does not follow.
    """
    if case.grey or (subject := lesion_of(case)) is None:
        return None
    try:
        numbers = colour_numbers(case.lab, subject.skin_colour)
        numbers = np.where(subject.lesion & subject.clean, numbers, NO_COLOUR + 1)
        counts = np.bincount(numbers.ravel(), minlength=NO_COLOUR + 2)[: NO_COLOUR + 1]
        present = [k for k in range(NO_COLOUR) if counts[k] >= PRESENT_FROM * counts.sum()]
        steps = {-1.0: _less(case, numbers, present, counts), 0.0: np.zeros_like(case.lab)}
        taken = np.zeros_like(subject.lesion)
        for dose in (1.0, 2.0):
            step, taken, present = _more(case, subject, steps[dose - 1], taken, present)
            steps[dose] = step
    except (UnmeasurableError, _NoColourError):
        return None
    known = sorted(steps)

    def edit(dose: float) -> Altered:
        place = float(np.clip(dose, known[0], known[-1]))
        low = min(int(np.floor(place)), int(known[-1]) - 1)
        part = np.float32(place - low)
        change = steps[float(low)] + part * (steps[low + 1.0] - steps[float(low)])
        return case.recoloured(case.lab + change)

    changed = np.any([np.abs(step).max(axis=-1) > 1 for step in steps.values()], axis=0)
    return Dosed(edit, laid_elsewhere(replace(case, mask=changed), edit))


class _NoColourError(ValueError):
    """There is no colour to take away, or none can be added."""


def _counted(case: DoseCase, change: Colours) -> int:
    """Return how many colours the lesion has after a change of its colours."""
    pixels = in_colours(case.taken(case.recoloured(case.lab + change)))
    assert case.lesion is not None
    subject = Subject(pixels, case.lesion, case.artifacts)
    return int(COMPUTED_FEATURES["dermoscopic_colours"](subject))


def _less(case: DoseCase, numbers: np.ndarray, present: list[int], counts: np.ndarray) -> Colours:
    """Return the change that gives the rarest colour's pixels the nearest of the others."""
    if len(present) < 2:
        raise _NoColourError
    rarest = min(present, key=lambda k: counts[k])
    means = {k: case.lab[numbers == k].mean(axis=0) for k in present}
    others = [k for k in present if k != rarest]
    weight = faded(widened(numbers == rarest, 1), 0.7)
    weight *= (numbers <= NO_COLOUR)[..., None]
    for k in sorted(others, key=lambda k: float(np.linalg.norm(means[k] - means[rarest]))):
        change = weight * _towards(case.lab, means[rarest], means[k])
        if _counted(case, change) == len(present) - 1:
            return change
    raise _NoColourError


def _more(
    case: DoseCase, subject: Subject, before: Colours, taken: Mask, present: list[int]
) -> tuple[Colours, Mask, list[int]]:
    """Return the change that gives one more part a colour that is missing, and where parts are.

    Args:
        case: the image.
        subject: its lesion.
        before: change so far.
        taken: where parts are.
        present: colours there are.
    """
    palette = _palette(subject.skin_colour)
    missing = [k for k in range(NO_COLOUR) if k not in present]
    inner = subject.lesion & subject.clean & ~widened(taken, 3)
    places = np.argwhere(inner)
    rows, cols = np.indices(inner.shape)
    size, soft = int(_PART * subject.area), max(1.0, _SOFT * float(np.sqrt(subject.area)))
    if not missing or len(places) < 2 * size:
        raise _NoColourError
    for row, col in places[case.rng.choice(len(places), _PLACES)]:
        away = np.where(inner, np.hypot(rows - row, cols - col), np.inf)
        part = away <= np.partition(away.ravel(), size)[size]
        own = case.lab[part].mean(axis=0)
        weight = faded(part, soft) * subject.lesion[..., None]
        for k in sorted(missing, key=lambda k: float(np.linalg.norm(palette[k] - own))):
            change = before + weight * _towards(case.lab, own, palette[k])
            if _counted(case, change) == len(present) + 1:
                return change, taken | part, [*present, k]
    raise _NoColourError


def _towards(lab: Colours, mean: Floats, goal: Floats) -> Colours:
    """Return the change from colours about a mean to a goal; some differences in L* remain."""
    kept = np.zeros_like(lab)
    kept[..., 0] = np.float32(_TEXTURE) * (lab[..., 0] - np.float32(mean[0]))
    return np.asarray(goal + kept - lab, dtype=np.float32)


def _palette(skin: Floats) -> list[Floats]:
    """Return a colour well within the limits of each of `COLOURS`, L*, a* and b*."""
    light, a, b = map(float, skin)
    chroma, hue = float(np.hypot(a, b)), float(np.arctan2(b, a))
    red = max(30.0, (a + 11) / np.cos(np.radians(25)))
    found = {
        "white": (min(light + 8, 97.0), *_polar(max(chroma - 8, 0.0), hue)),
        "red": (min(50.0, light - 8), *_polar(red, np.radians(25))),
        "light brown": ((42 + light - 6) / 2, *_polar(25.0, np.radians(60))),
        "dark brown": (31.0, *_polar(20.0, np.radians(55))),
        "blue-grey": (min(48.0, light - 12), 0.0, -4.0),
        "black": (10.0, 1.0, 1.0),
    }
    return [np.array(found[name]) for name in COLOURS]


def _polar(chroma: float, hue: float) -> tuple[float, float]:
    return float(chroma * np.cos(hue)), float(chroma * np.sin(hue))
