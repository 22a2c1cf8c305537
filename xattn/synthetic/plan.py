"""What is planted: labels, features and traits of every image, drawn before any pixel.

The causal graph. Arrows are the only dependences there are; given the label, everything below it
is independent, and nothing else joins label and image:

                            label
        ┌──────────────┬──────┴──────┬───────────────┐
    structures     border, colour  artifacts      age, sex
        └──────────────┴──────┬──────┘
     skin tone ──────────> image <── view, light, noise

Strength is one number for all of them, the *effect*: for a feature, the log odds ratio of being
present in malignant against benign images; for a trait, the log odds of malignant per standard
deviation. 0 cuts the arrow. The two readings agree: each is the weight that the variable has in
the logistic regression of the label on all of them, since given the label they are independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from xattn.annotations.schema import Kind
from xattn.errors import UsageError, near
from xattn.stats.seeds import generator_for
from xattn.synthetic.features import FEATURES
from xattn.synthetic.spec import LABELS, ImageSpec

TRAITS: dict[str, float] = {
    "border_irregularity": 1.0,
    "colour_variegation": 1.0,
    "skin_tone": 0.0,
    "age": 0.5,
}
"""Continuous variables and their effects if none are given. All belong to the lesion."""


def kinds() -> dict[str, Kind]:
    """Return what each variable is in annotation files; those without pixels are metadata."""
    drawn: dict[str, Kind] = {name: feature.kind for name, feature in FEATURES.items()}
    return drawn | dict.fromkeys([*TRAITS, "sex"], "metadata")


@dataclass(frozen=True)
class Chance:
    """Probability that a feature is present, for each label."""

    benign: float
    malignant: float

    def given(self, label: str) -> float:
        """Return the probability of presence given the label."""
        return self.malignant if label == LABELS[1] else self.benign


@dataclass(frozen=True)
class Plan:
    """The distribution of the data set. Every default is stated in the docs page.

    Attributes:
        seed: image i depends on the seed and i alone, never on how many images there are.
        positive_rate: probability of "malignant".
        pair_rate: probability that two neighbouring images (2j, 2j + 1) show one lesion, hence
            share label, structures and traits, while view, light and artifacts are drawn anew.
        effects: by feature, trait or "sex", 0 for those not named; None for the default effects
            of the registry and of `TRAITS`. See the module for what an effect is.
        prevalence: by feature or "sex" (then of males): the fraction of all images that have it,
            whatever the effect; over the defaults.

    Raises:
        UsageError: a name is unknown or a number out of its range.
    """

    seed: int = 0
    positive_rate: float = 0.5
    pair_rate: float = 0.2
    effects: Mapping[str, float] | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"Expected a seed of at least 0, but got {self.seed}")
        for name, rate in (("positive_rate", self.positive_rate), ("pair_rate", self.pair_rate)):
            if not 0 <= rate <= 1:
                raise UsageError(f"Expected {name} in [0, 1], but got {rate}")
        binary = [*FEATURES, "sex"]
        for name, effect in (self.effects or {}).items():
            if name not in binary and name not in TRAITS:
                raise UsageError(f"Unknown effect {name!r}{near(name, [*binary, *TRAITS])}")
            if not abs(effect) <= 20:
                raise UsageError(f"Expected an effect in [-20, 20] for {name}, but got {effect}")
        for name, fraction in self.prevalence.items():
            if name not in binary:
                raise UsageError(f"Unknown prevalence {name!r}{near(name, binary)}")
            if not 0 <= fraction <= 1:
                raise UsageError(f"Expected a prevalence in [0, 1] for {name}, but got {fraction}")

    def effect(self, name: str) -> float:
        """Return the effect of a feature or trait in this plan."""
        if self.effects is not None:
            return float(self.effects.get(name, 0.0))
        if name == "sex":
            return 0.0
        return FEATURES[name].effect if name in FEATURES else TRAITS[name]

    def chance(self, name: str) -> Chance:
        """Return the probabilities of presence of a feature (or of "male" for `sex`)."""
        usual = 0.5 if name == "sex" else FEATURES[name].prevalence
        prevalence = self.prevalence.get(name, usual)
        return solve_chances(self.positive_rate, prevalence, self.effect(name))

    def mean(self, trait: str, label: str) -> float:
        """Return the mean score of a trait given the label, in standard deviations."""
        shift = float(label == LABELS[1]) - self.positive_rate
        return self.effect(trait) * shift

    def draw(self, index: int) -> ImageSpec:
        """Draw all variables of one image. The same uniform number serves every effect, so that
        plans that differ in one effect differ in few images.
        """
        lesion = self._lesion(index)
        own = generator_for(self.seed, "lesion", lesion, "variables")
        label = LABELS[int(own.random() < self.positive_rate)]
        male = own.random() < self.chance("sex").given(label)
        scores = own.standard_normal(len(TRAITS))
        lucky = {
            "structure": iter(own.random(len(FEATURES))),
            "artifact": iter(
                generator_for(self.seed, "image", index, "variables").random(len(FEATURES))
            ),
        }
        present = frozenset(
            name
            for name, feature in FEATURES.items()
            if next(lucky[feature.kind]) < self.chance(name).given(label)
        )
        traits = {
            name: self.mean(name, label) + float(score)
            for name, score in zip(TRAITS, scores, strict=True)
        }
        return ImageSpec(
            id=f"SYN_{index:07d}",
            index=index,
            lesion=lesion,
            seed=self.seed,
            label=label,
            present=present,
            traits=traits,
            sex="male" if male else "female",
        )

    def _lesion(self, index: int) -> int:
        first = index - index % 2
        return first if generator_for(self.seed, "pair", first).random() < self.pair_rate else index


def solve_chances(positive_rate: float, prevalence: float, effect: float) -> Chance:
    """Solve for the chances that have this log odds ratio and average to the prevalence.

    With odds ratio k and benign chance p, the malignant one is kp / (1 - p + kp); the average
    being the prevalence is a quadratic in p, whose root in [0, 1] is taken in the form that does
    not cancel. An odds ratio of 0 < k < 1 is solved with the labels swapped.
    """
    if effect < 0:
        swapped = solve_chances(1 - positive_rate, prevalence, -effect)
        return Chance(swapped.malignant, swapped.benign)
    k = math.exp(effect)
    a = (1 - positive_rate) * (k - 1)
    b = 1 - positive_rate + positive_rate * k - prevalence * (k - 1)
    root = math.sqrt(b * b + 4 * a * prevalence)
    benign = 2 * prevalence / (b + root) if b > 0 else (root - b) / (2 * a)
    return Chance(benign, k * benign / (1 - benign + k * benign))
