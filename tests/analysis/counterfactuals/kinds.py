"""What is drawn: images like dermoscopy, or patches of tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from xattn.errors import UsageError
from xattn.synthetic import (
    FEATURES,
    ImageSpec,
    Plan,
    Rendered,
    render,
    with_features,
    with_strength,
)
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import ARTIFACTS, TissuePlan

if TYPE_CHECKING:
    from tests.analysis.counterfactuals.task import Task

Spec = Any
"""An `ImageSpec` or a `TissueSpec`."""


@dataclass(frozen=True)
class Kind:
    """One kind of scene.

    Attributes:
        name: on the command line.
        domain: of the images, as in `xattn.images.domains`.
        size: (height, width) of the images.
        draw: (seed, index) -> spec of one scene.
        rendered: (spec, size) -> image and masks.
        passes: images that a network sees in training, again and again.
        tasks: by name, in the order of the networks' outputs.
    """

    name: str
    domain: str
    size: tuple[int, int]
    draw: Callable[[int, int], Spec]
    rendered: Callable[[Spec, tuple[int, int]], Rendered]
    passes: int = 30_000
    tasks: dict[str, Task] = field(default_factory=dict)

    def render(self, spec: Spec) -> Rendered:
        """Draw a scene."""
        return self.rendered(spec, self.size)

    def scene(self, seed: int, index: int) -> Spec:
        """Draw what is in a scene, on which no task has laid a hand."""
        return self.draw(seed, index)


DERMOSCOPY = Kind(
    "dermoscopy",
    "dermoscopy",
    (80, 104),
    lambda seed, i: _image(seed, i, 0.2),
    render,
)
"""Artifacts, structures, light and skin."""
LESIONS = Kind(
    "lesions",
    "dermoscopy",
    (80, 104),
    lambda seed, i: _lesion(_image(seed, i, 0.05)),
    render,
)
"""The lesion's size, shape, border and colours, large and with little else in the image: where
structures lie on it, networks so small do not learn them."""
PLACED = Kind(
    "placed",
    "dermoscopy",
    (96, 128),
    lambda seed, i: with_features(_image(seed, i, 0.05, -0.3), "ruler"),
    render,
)
"""A ruler in every image, with room to be larger and elsewhere, and little else."""
TISSUE = Kind(
    "tissue",
    "tissue",
    (96, 96),
    lambda seed, i: TissuePlan(seed, effects={}, prevalence=dict.fromkeys(ARTIFACTS, 0.2)).draw(i),
    render_tissue,
)
KINDS = {kind.name: kind for kind in (DERMOSCOPY, LESIONS, PLACED, TISSUE)}


def _image(seed: int, index: int, prevalence: float, larger: float = 0.25) -> ImageSpec:
    """Draw a scene whose lesion is a quarter larger than usual: the images are small."""
    plan = Plan(seed, effects={}, pair_rate=0, prevalence=dict.fromkeys(FEATURES, prevalence))
    return with_strength(plan.draw(index), "diameter", larger)


def _lesion(spec: ImageSpec) -> ImageSpec:
    """Give a lesion colours and an outline of which there can be more and less."""
    traits = {**spec.traits, "colour_variegation": 1.5, "border_irregularity": 0.5}
    return replace(spec, traits=traits)


def register(task: Task) -> Task:
    """Add a task to those of its kind; a name stands once."""
    if task.name in task.kind.tasks:
        raise UsageError(f"Expected one task of a name, but got {task.name!r} twice")
    task.kind.tasks[task.name] = task
    return task
