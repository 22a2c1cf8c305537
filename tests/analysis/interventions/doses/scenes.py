"""Generated images of every domain that graded edits are for, each as an edit gets it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from xattn.analysis.interventions.doses.colours import to_lab
from xattn.analysis.interventions.doses.registry import GRADED_EDITS, Altered, DoseCase, Dosed
from xattn.analysis.interventions.pixels import widened
from xattn.features.computed import COMPUTED_FEATURES, Subject
from xattn.images.domains import STAINED
from xattn.synthetic import Plan, render, with_features
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import NUCLEI, TissuePlan

OF_LESIONS, OF_TISSUE = 4, 8
IN_CIELAB = {"light", "colour-cast", "skin-tone"}
"""Whose controls change as much to the eye; by red, green and blue another hue is another size."""
OF_IMAGES = [name for name, edit in GRADED_EDITS.items() if not edit.kinds]
"""Graded edits of computed features, and of the image as a whole."""
OF_ARTIFACTS = {"size": ("ink", "patches", "ruler"), "distance": ("ink", "ruler")}
"""Graded edits that move an artifact's pixels, and artifacts that they can be done to."""
IN_TISSUE = [name for name in OF_IMAGES if GRADED_EDITS[name].domains == STAINED]


@cache
def lesions() -> list[tuple[DoseCase, np.ndarray]]:
    """Images with a lesion that the border of the image does not cut, and the ink on each."""
    plan, found, i = Plan(3), [], 0
    while len(found) < OF_LESIONS:
        rendered = render(with_features(plan.draw(i), "ink"), (112, 144))
        i += 1
        blocked = np.any([rendered.lesion, *rendered.masks.values()], axis=0)
        case = DoseCase(
            rendered.image, rendered.lesion, rendered.lesion, ~widened(blocked), False,
            np.random.default_rng(i),
        )  # fmt: skip
        if not case.subject.cut and 0.03 < rendered.lesion.mean() < 0.2 and case.shift:
            found.append((case, rendered.masks["ink"]))
    return found


@cache
def tissue() -> list[DoseCase]:
    """Patches of several centres, a part of each, so that they are no squares."""
    return [stained_case(i, (80, 90)) for i in range(OF_TISSUE)]


@cache
def with_artifact(name: str, artifact: str) -> list[tuple[DoseCase, Dosed]]:
    """Return images with an artifact to which an edit of artifacts can be done, and the edit."""
    plan, found = Plan(3, effects={}), []
    for i in range(24):
        rendered = render(with_features(plan.draw(i), artifact), (112, 144))
        blocked = np.any([rendered.lesion, *rendered.masks.values()], axis=0)
        case = DoseCase(
            rendered.image, rendered.masks[artifact], rendered.lesion, ~widened(blocked), False,
            np.random.default_rng(i),
        )  # fmt: skip
        dosed = GRADED_EDITS[name].prepare(case)
        if dosed is not None and dosed.control is not None:
            found.append((case, dosed))
        if len(found) == OF_LESIONS:
            break
    return found


def place_of(name: str, case: DoseCase, altered: Altered) -> float:
    """Return the size or distance of an artifact at one dose."""
    mask = case.mask if altered.mask is None else altered.mask
    return GRADED_EDITS[name].measure(Subject(case.taken(altered), case.lesion, mask))


def stained_case(index: int, size: tuple[int, int] = (96, 96)) -> DoseCase:
    """Return a patch of tissue without an outline, with its artifacts if it has any."""
    rendered, part = render_tissue(TissuePlan(3).draw(index)), np.s_[: size[0], : size[1]]
    masks = [mask[part] for name, mask in rendered.masks.items() if name != NUCLEI]
    covered = np.any(masks, axis=0) if masks else None
    nothing = np.zeros_like(rendered.lesion[part])
    skin = ~nothing if covered is None else ~widened(covered)
    rng = np.random.default_rng(index)
    return DoseCase(rendered.image[part], nothing, None, skin, False, rng, artifacts=covered)


def cases_of(name: str) -> list[DoseCase]:
    """Return images that a graded edit of images is for."""
    return tissue() if name in IN_TISSUE else [case for case, _ in lesions()]


@cache
def prepared(name: str) -> list[tuple[DoseCase, Dosed]]:
    """Return each image that an edit can be done to, and the edit of it."""
    found = ((case, GRADED_EDITS[name].prepare(case)) for case in cases_of(name))
    return [(case, dosed) for case, dosed in found if dosed is not None]


def value(name: str, case: DoseCase, altered: Altered) -> float:
    """Return the feature of an edit in an image at one dose."""
    edit = GRADED_EDITS[name]
    lesion = case.lesion if altered.lesion is None else altered.lesion
    nothing = np.zeros(case.pixels.shape[:2], dtype=bool)
    subject = Subject(case.taken(altered), nothing if lesion is None else lesion, case.artifacts)
    return (edit.measure or COMPUTED_FEATURES[edit.feature])(subject)


@cache
def values(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature in every image at every dose (0 among them, in order), and of controls."""
    doses = doses_of(name)
    edits, controls = [], []
    for case, dosed in prepared(name):
        edits.append([value(name, case, dosed.edit(dose)) for dose in doses])
        controls.append([value(name, case, dosed.control(dose)) for dose in doses])
    return np.array(edits), np.array(controls)


def doses_of(name: str) -> list[float]:
    """Return the doses of an edit and 0, in order."""
    return sorted([*GRADED_EDITS[name].doses, 0.0])


def changes(name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give by how much edit and control change each image at each dose (root mean square)."""
    for case, dosed in prepared(name):
        seen = to_lab if name in IN_CIELAB else np.asarray
        yield tuple(
            np.array([
                np.sqrt(np.square(seen(do(dose).image) - seen(case.image)).mean())
                for dose in GRADED_EDITS[name].doses
            ])
            for do in (dosed.edit, dosed.control)
        )  # fmt: skip
