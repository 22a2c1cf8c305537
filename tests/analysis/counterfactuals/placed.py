"""Where a ruler lies and how large it is, and the number of a lesion's colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.analysis.counterfactuals.held import AtDose, Matched, Moved
from tests.analysis.counterfactuals.kinds import PLACED, register
from tests.analysis.counterfactuals.task import Task
from xattn.synthetic import ImageSpec, render, with_placing

_ARTIFACT = "ruler"
_NEAR, _FAR, _SMALL, _LARGE = -0.06, 0.10, -0.4, 0.4


def _scaled(spec: ImageSpec, size: float) -> ImageSpec:
    return with_placing(spec, _ARTIFACT, size=size)


def _put(spec: ImageSpec, right: float, down: float) -> ImageSpec:
    """Return the scene with the ruler moved, and as large as it is."""
    size = spec.strength.get(f"{_ARTIFACT}.size", 0.0)
    return with_placing(spec, _ARTIFACT, size=size, right=right, down=down)


def _outward(spec: ImageSpec, much: float) -> ImageSpec:
    """Return the scene with the ruler farther from the lesion's middle, or nearer."""
    rendered = render(spec, PLACED.size)
    ruler, lesion = (
        np.argwhere(mask).mean(axis=0) if mask.any() else np.zeros(2)
        for mask in (rendered.masks[_ARTIFACT], rendered.lesion)
    )
    down, right = much * (ruler - lesion) / max(float(np.linalg.norm(ruler - lesion)), 1e-6)
    return _put(spec, float(right), float(down))


def _coloured(spec: ImageSpec, score: float) -> ImageSpec:
    return replace(spec, traits={**spec.traits, "colour_variegation": score})


def _other_colours(spec: ImageSpec) -> list[ImageSpec]:
    own = spec.traits["colour_variegation"]
    return [_coloured(spec, own + more) for more in (-2.0, -1.0, 1.0, 2.0)]


register(
    Task(
        "size",
        PLACED,
        lambda spec, more: _scaled(spec, _LARGE if more else _SMALL),
        (AtDose("size", _scaled),),
        masked=_ARTIFACT,
    )
)
register(
    Task(
        "distance",
        PLACED,
        lambda spec, more: _outward(spec, _FAR if more else _NEAR),
        (Moved("distance", _put),),
        masked=_ARTIFACT,
    )
)
register(
    Task(
        "dermoscopic_colours",
        PLACED,
        lambda spec, more: _coloured(spec, 1.5 if more else -1.5),
        (Matched("dermoscopic-colours", _other_colours),),
    )
)
