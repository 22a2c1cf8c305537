"""What is planted in patches of tissue: slide, label, artifacts and traits, before any pixel.

                 slide (centre, stain, blur, scanner)       label
                         │              ┌─────────────┬───────┴──────┬────────────┐
                         │        tumour growth   artifacts   nuclear size,     stain
                         │              │             │        density            │
                         └──────────────┴─────> patch <──────┴────────────────────┘

Given the label, all below it are independent of each other, and the slide of the label. Effects are
those of `xattn.synthetic.plan`: log odds ratios of tumour against normal, of a trait per standard
deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from xattn.annotations.schema import Kind
from xattn.errors import UsageError, near
from xattn.stats.seeds import generator_for
from xattn.synthetic.plan import Chance, solve_chances

LABELS = ("normal", "tumor")
ARTIFACTS: dict[str, float] = {"pen": 0.15, "fold": 0.15, "bubble": 0.15}
"""Fraction of the patches that have each."""
TRAITS: dict[str, float] = {"nuclear_size": 1.0, "nuclear_density": 0.0, "stain": 1.5}
"""Effects if none are given: nuclei that grow belong to the disease, stain is the shortcut."""
NUCLEI = "nuclei"
"""The structure that every patch has."""
PLACES = ("center", "slide", "patient", "node", "official_split")
"""Where a patch comes from, as the layout of WILDS has it."""
CENTERS = 5
SLIDES_PER_CENTER = 10
_ID_VAL = 0.1
"""Fraction of the patches of training centres in the split `id_val`."""
OOD_VAL, OOD_TEST = 1, 2
"""Centres of the official split."""


def kinds() -> dict[str, Kind]:
    """Return what each variable is in annotation files; those without pixels are metadata."""
    drawn: dict[str, Kind] = {NUCLEI: "structure", **dict.fromkeys(ARTIFACTS, "artifact")}
    return drawn | dict.fromkeys((*PLACES, *TRAITS), "metadata")


@dataclass(frozen=True)
class TissueSpec:
    """All that is decided about one patch before it is drawn.

    Attributes:
        index: position in the data set.
        seed: of the data set.
        label: "normal" or "tumor".
        slide: 0 to 49; ten of each centre.
        present: names of the artifacts that are drawn.
        traits: standard-normal-like scores by name, deviation 1 within labels.
        official_split: "train", "id_val", "val" or "test", as WILDS names them.
        strength: opacity of an artifact (1: as drawn), and by what fraction there is more of what
            every patch has (0: as drawn): "stain" (haematoxylin), "blur" (of the scanner),
            "nuclear_size" (each in place) and "nuclear_density" (others stay).
    """

    index: int
    seed: int
    label: str
    slide: int
    present: frozenset[str]
    traits: Mapping[str, float]
    official_split: str
    strength: Mapping[str, float] = field(default_factory=dict)

    @property
    def center(self) -> int:
        """The centre of the slide, 0 to 4."""
        return self.slide // SLIDES_PER_CENTER

    @property
    def case(self) -> str:
        """Name of patient and node; patients count from 900, where Camelyon17 has none."""
        return f"patient_{900 + self.slide // 2:03d}_node_{self.slide % 2}"

    @property
    def place(self) -> tuple[int, int]:
        """Where the patch lies in its slide, x and y: of no meaning, and no other's."""
        return 96 * (self.index % 1000), 96 * (self.index // 1000)

    @property
    def id(self) -> str:
        """Name of its file, as WILDS names patches."""
        return f"patch_{self.case}_x_{self.place[0]}_y_{self.place[1]}"

    def level(self, trait: str) -> float:
        """Return a trait as a level in (0, 1): its score's rank in a standard normal."""
        return 0.5 * (1 + math.erf(self.traits[trait] / math.sqrt(2)))


@dataclass(frozen=True)
class TissuePlan:
    """The distribution of the patches.

    Attributes:
        seed: patch i depends on the seed and i alone.
        positive_rate: probability of "tumor".
        effects: by artifact or trait, 0 for those not named; None for the default effects.
        prevalence: by artifact, fraction of all patches that have it; over the defaults.

    Raises:
        UsageError: a name is unknown or a number out of its range.
    """

    seed: int = 0
    positive_rate: float = 0.5
    effects: Mapping[str, float] | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"Expected a seed of at least 0, but got {self.seed}")
        if not 0 <= self.positive_rate <= 1:
            raise UsageError(f"Expected positive_rate in [0, 1], but got {self.positive_rate}")
        for name, effect in (self.effects or {}).items():
            if name not in ARTIFACTS and name not in TRAITS:
                raise UsageError(f"Unknown effect {name!r}{near(name, [*ARTIFACTS, *TRAITS])}")
            if not abs(effect) <= 20:
                raise UsageError(f"Expected an effect in [-20, 20] for {name}, but got {effect}")
        for name, fraction in self.prevalence.items():
            if name not in ARTIFACTS:
                raise UsageError(f"Unknown prevalence {name!r}{near(name, ARTIFACTS)}")
            if not 0 <= fraction <= 1:
                raise UsageError(f"Expected a prevalence in [0, 1] for {name}, but got {fraction}")

    def effect(self, name: str) -> float:
        """Return the effect of an artifact or trait in this plan."""
        if self.effects is not None:
            return float(self.effects.get(name, 0.0))
        return TRAITS.get(name, 0.0)

    def chance(self, name: str) -> Chance:
        """Return the probabilities of presence of an artifact, of normal and of tumour."""
        prevalence = self.prevalence.get(name, ARTIFACTS[name])
        return solve_chances(self.positive_rate, prevalence, self.effect(name))

    def draw(self, index: int) -> TissueSpec:
        """Draw all variables of one patch."""
        rng = generator_for(self.seed, "patch", index, "variables")
        slide = int(rng.integers(CENTERS * SLIDES_PER_CENTER))
        tumor = bool(rng.random() < self.positive_rate)
        lucky, scores = rng.random(len(ARTIFACTS)), rng.standard_normal(len(TRAITS))
        held_out = bool(rng.random() < _ID_VAL)
        chances = {name: self.chance(name) for name in ARTIFACTS}
        shift = float(tumor) - self.positive_rate
        return TissueSpec(
            index=index,
            seed=self.seed,
            label=LABELS[int(tumor)],
            slide=slide,
            present=frozenset(
                name
                for name, luck in zip(ARTIFACTS, lucky, strict=True)
                if luck < (chances[name].malignant if tumor else chances[name].benign)
            ),
            traits={
                name: self.effect(name) * shift + float(score)
                for name, score in zip(TRAITS, scores, strict=True)
            },
            official_split=_official(slide // SLIDES_PER_CENTER, held_out),
        )


def _official(center: int, held_out: bool) -> str:
    if center in (OOD_VAL, OOD_TEST):
        return "val" if center == OOD_VAL else "test"
    return "id_val" if held_out else "train"
