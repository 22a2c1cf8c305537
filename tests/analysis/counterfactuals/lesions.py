"""Features of the lesion that networks learn, and the edits held against each."""

from __future__ import annotations

import numpy as np

from tests.analysis.counterfactuals.dermoscopy import at, changed, more_of
from tests.analysis.counterfactuals.held import AtDose, Matched
from tests.analysis.counterfactuals.kinds import LESIONS, register
from tests.analysis.counterfactuals.task import Task
from xattn.features.computed import Subject
from xattn.synthetic import FEATURES, ImageSpec, with_strength, without_features


def plain(spec: ImageSpec) -> ImageSpec:
    """Leave out structures, which do not stay in place where the outline of a lesion changes."""
    return without_features(spec, *(n for n, one in FEATURES.items() if one.kind == "structure"))


def asymmetric(spec: ImageSpec) -> ImageSpec:
    """Return a scene whose lesion has an asymmetry of which there can be more and less."""
    return with_strength(plain(spec), "shape_asymmetry", 1.5)


def laid(spec: ImageSpec, side: float) -> ImageSpec:
    """Return a scene with its colours laid to one side, or made their own mirror image."""
    return with_strength(spec, "colour_asymmetry", side)


def steepness(subject: Subject) -> float:
    """Return how much of the change of L* across the border happens near it.

    The feature `abrupt_border` counts sectors of it, in steps of 1/8: too coarse to find a dose.
    """
    width = float(np.sqrt(4 * subject.area / np.pi))
    near, far = max(2.0, 0.04 * width), max(6.0, 0.16 * width)
    distance, light = subject.distance, subject.light
    across = [
        light[(distance >= 0) & (distance < reach)].mean()
        - light[(distance < 0) & (distance > -reach)].mean()
        for reach in (near, far)
    ]
    return float(across[0] / across[1])


register(
    Task(
        "diameter",
        LESIONS,
        changed("diameter", -0.35, 0.35),
        (AtDose("diameter", more_of("diameter")),),
        ready=plain,
    )
)
register(
    Task(
        "shape_asymmetry",
        LESIONS,
        changed("shape_asymmetry", -0.95, 5.0),
        (AtDose("shape-asymmetry", more_of("shape_asymmetry")),),
        ready=asymmetric,
    )
)
register(
    Task(
        "colour_variance",
        LESIONS,
        changed("colour_variance", -0.4, 1.0),
        (Matched("colour-variance", at(more_of("colour_variance"), -0.5, -0.25, 0.25, 0.5)),),
    )
)
register(
    Task(
        "colour_asymmetry",
        LESIONS,
        lambda spec, more: laid(spec, 0.95 if more else -1.0),
        (
            Matched(
                "colour-asymmetry",
                at(
                    lambda s, more: with_strength(s, "colour_asymmetry", more), -0.8, -0.4, 0.4, 0.8
                ),
            ),
        ),
    )
)
register(
    Task(
        "border_sharpness",
        LESIONS,
        changed("border_sharpness", -0.5, 3.0),
        (
            Matched(
                "border-sharpness",
                at(more_of("border_sharpness"), -0.5, -0.3, 0.5, 1.5),
                steepness,
            ),
        ),
    )
)
