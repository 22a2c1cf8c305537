"""What is planted in a world, and the scenes that follow from it, before any pixel."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field, field_validator, model_validator

from xattn.errors import near
from xattn.splits.data_table import Table
from xattn.stats.seeds import generator_for
from xattn.synthetic import (
    FEATURES,
    SHAPES,
    TRAITS,
    ImageSpec,
    Plan,
    with_features,
    with_shapes,
    without_features,
)

SHORTCUT, MEDICINE, CORRELATE, OTHER = "shortcut", "medicine", "correlate", "other"
NOWHERE, CONTROL = "nowhere", "control"
IN_NO_PIXEL = ("age", "sex")
VISIBLE_TRAITS = tuple(name for name in TRAITS if name not in IN_NO_PIXEL)
_OFTEN = 0.5
"""Fraction of images that have what is planted, and what goes with it."""


class World(Table):
    """What one group of networks learns from and is measured on.

    The label of the images to learn from depends on shortcuts and medicine; of those to measure on
    medicine alone, and there each correlate goes with another feature, which in the images to
    learn from it does not. Given that, everything is independent.
    """

    name: str = Field(min_length=1, pattern=r"^[\w-]+$")
    half: str = Field(default="first", pattern=r"^[\w-]+$")
    """Which part of the worlds it is of, for instance those that were held back."""
    seed: int = Field(ge=0)
    shortcuts: dict[str, float]
    """Artifact -> log odds ratio of its presence by label, in the images to learn from."""
    medicine: dict[str, float]
    """Structure or trait -> the same, in all images; per standard deviation of a trait."""
    correlates: dict[str, str] = Field(default_factory=dict)
    """Feature without any effect -> feature or trait that it goes with where it is measured."""
    agreement: float = Field(default=0.9, ge=0.5, le=1)
    """Probability that a correlate is there if and only if what it goes with is."""
    shapes: list[str] = Field(default_factory=list)
    """Other shapes in which features are drawn, names of `SHAPES`."""
    images: int = Field(default=300, ge=20)
    """How many images are measured."""

    @field_validator("shortcuts", "medicine", "correlates")
    @classmethod
    def _features_are_known(cls, given: dict[str, object]) -> dict[str, object]:
        for name in given:
            if name not in FEATURES and name not in VISIBLE_TRAITS:
                raise ValueError(f"unknown feature {name!r}{near(name, [*FEATURES, *TRAITS])}")
        return given

    @field_validator("shapes")
    @classmethod
    def _shapes_are_known(cls, given: list[str]) -> list[str]:
        for name in given:
            if name not in SHAPES:
                raise ValueError(f"unknown shape {name!r}{near(name, SHAPES)}")
        return given

    @model_validator(mode="after")
    def _every_feature_has_one_part(self) -> World:
        parts = [*self.shortcuts, *self.medicine, *self.correlates]
        if twice := [name for name in parts if parts.count(name) > 1]:
            raise ValueError(f"expected each feature once, but got {twice[0]!r} more than once")
        for name, of in self.correlates.items():
            if name not in FEATURES or of not in [*self.shortcuts, *self.medicine]:
                raise ValueError(
                    "expected correlates that can be there or not, each with a shortcut or "
                    f"medicine, but got {name} = {of!r}"
                )
        return self

    def role(self, feature: str, kind: str = "") -> str:
        """Return what a feature is in this world.

        Args:
            feature: its name.
            kind: as in tables of feature usage; controls are known by it.
        """
        if kind == "control":
            return CONTROL
        if feature in IN_NO_PIXEL:
            return NOWHERE
        for role, names in (
            (SHORTCUT, self.shortcuts),
            (MEDICINE, self.medicine),
            (CORRELATE, self.correlates),
        ):
            if feature in names:
                return role
        return OTHER

    def to_learn(self, index: int, planted: bool) -> ImageSpec:
        """Return what is in an image to learn from.

        Args:
            index: of the image.
            planted: whether shortcuts go with the label; without, all else is as with them.
        """
        effects = {**self.medicine, **(self.shortcuts if planted else {})}
        return self._drawn(2 * self.seed, index, effects)

    def to_measure(self, index: int) -> ImageSpec:
        """Return what is in an image to measure on: no shortcut, and correlates that go along.

        Args:
            index: of the image.
        """
        spec = self._drawn(2 * self.seed + 1, index, self.medicine)
        for name, of in self.correlates.items():
            there = of in spec.present if of in FEATURES else spec.traits[of] > 0
            drawn = generator_for(self.seed, "correlate", name, index).random()
            present = there == (drawn < self.agreement)
            spec = (with_features if present else without_features)(spec, name)
        return spec

    def _drawn(self, seed: int, index: int, effects: dict[str, float]) -> ImageSpec:
        often = [*self.shortcuts, *self.correlates, *self.medicine]
        plan = Plan(
            seed,
            pair_rate=0.0,
            effects=effects,
            prevalence={name: _OFTEN for name in often if name in FEATURES},
        )
        return with_shapes(plan.draw(index), *self.shapes)


def contrasts() -> dict[str, tuple[str, ...]]:
    """Return what can be changed in a scene, and how the two scenes of each are called."""
    things: dict[str, tuple[str, ...]] = dict.fromkeys(FEATURES, ("without", "with"))
    return things | dict.fromkeys(VISIBLE_TRAITS, ("low", "high"))


def changed(spec: ImageSpec, feature: str, way: str) -> ImageSpec:
    """Return the same scene without or with a feature, or with a trait at -1 or +1.

    Both ends of a trait are two standard deviations apart, as are absence and presence of a
    feature that every other image has.

    Args:
        spec: of the scene.
        feature: a key of `contrasts`.
        way: one of its two.
    """
    if feature in FEATURES:
        return (with_features if way == "with" else without_features)(spec, feature)
    return replace(spec, traits={**spec.traits, feature: 1.0 if way == "high" else -1.0})
