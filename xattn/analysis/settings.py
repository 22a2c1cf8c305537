"""What the analyses can be told beside what they measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xattn.attribution.run.settings import ACCELERATE, Accelerate, ExplainSettings
from xattn.errors import UsageError
from xattn.settings import Settings, setting
from xattn.settings.precision import PRECISIONS, Precision

POSITIVE = (
    "Positive class of rates and of the sign of scores, default the last of two; of more, the one, "
    "or several (repeatable, or comma-separated) merged, against the rest."
)

LEARNERS = ("boosting", "ridge")
"""What residuals given other features are taken from: boosted trees after ridge, or ridge alone."""


@dataclass(frozen=True)
class DependenceSettings(Settings):
    """How features are collected and dependence on them is tested; see `feature_usage`."""

    permutations: int = setting(
        999, "--permutations", kind="integer", low=19, help="Permutations behind each p-value."
    )
    bootstrap: int = setting(
        1000, "--bootstrap", kind="integer", low=99, help="Bootstrap replicates of each interval."
    )
    alpha: float = setting(
        0.05, "--alpha", kind="number", low=0, high=1, open=True,
        help="Level of the tests, after adjustment.",
    )  # fmt: skip
    positive: str | Sequence[str] | None = setting(
        None, "--positive", several=True, metavar="NAME", help=POSITIVE
    )
    target: str | Sequence[str] = setting(
        (), "--target", several=True, metavar="NAME", dest="tested_outputs",
        help="Of independent outputs those to test, each as a question of its own; repeatable; "
        "default all.",
    )  # fmt: skip
    decision: str = setting(
        "min-p", "--decision", metavar="RULE",
        help="How the statistics decide: min-p, majority, or one by its name alone.",
    )  # fmt: skip
    computed: bool = setting(
        True, "--no-computed", kind="switch",
        help="Leave out features computed from images and lesion masks.",
    )  # fmt: skip
    detect: bool = setting(
        False, "--detect", kind="switch", help="Look for artifacts that nobody annotated."
    )
    more_features: str | Path | None = setting(
        None, "--features", kind="file", help="CSV of further features."
    )
    exclude: str | Sequence[str] = setting(
        (), "--exclude", several=True, metavar="NAME",
        help="Feature to leave out; repeatable. Ids, splits and the like are; none keeps them.",
    )  # fmt: skip
    domain: str | None = setting(
        None, "--domain", metavar="NAME",
        help="Kind of images, which decides what is measured: dermoscopy, tissue, radiograph, ...",
    )  # fmt: skip
    seed: int = setting(0, "--seed", kind="integer", help="Same seed, same tables.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.permutations < 1 or self.bootstrap < 1:
            raise UsageError(
                "Expected at least one permutation and one bootstrap replicate, but got "
                f"{self.permutations} and {self.bootstrap}"
            )
        if self.domain is not None:
            from xattn.images.domains import DOMAINS  # loads what --help does without

            DOMAINS.find(self.domain)
        if not 0 < self.alpha < 1:
            raise UsageError(f"Expected alpha between 0 and 1, but got {self.alpha}")

    @property
    def drawing(self) -> dict[str, Any]:
        """What is drawn at random: `permutations`, `bootstrap` and `seed`."""
        return {
            "permutations": self.permutations,
            "bootstrap": self.bootstrap,
            "seed": self.seed,
        }

    @property
    def testing(self) -> dict[str, Any]:
        """What tests with a level take: `permutations`, `bootstrap`, `alpha` and `seed`."""
        return {
            "permutations": self.permutations,
            "bootstrap": self.bootstrap,
            "alpha": self.alpha,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class UsageSettings(DependenceSettings):
    """How `feature_usage` measures; see there for what each setting means."""

    interventions: int = setting(
        100, "--interventions", kind="integer", low=0,
        help="Images edited for each feature and edit; 0 for none.",
    )  # fmt: skip
    given: str | Sequence[str] = setting(
        ("others",), "--given", several=True, metavar="NAME",
        help="Held fixed beside the label in a second test: others (all other features), none, or "
        "features by name; repeatable.",
    )  # fmt: skip
    learner: str = setting(
        LEARNERS[0], "--learner", kind="choice", choices=LEARNERS,
        help="Regressions of that test: boosted trees after ridge, or ridge alone.",
    )  # fmt: skip
    label_column: str | None = setting(
        None, "--label-column", metavar="NAME",
        help="A finer label to hold fixed beside the label, such as the diagnosis: a feature of "
        "the annotation file.",
    )  # fmt: skip
    concepts: bool = setting(
        True, "--no-concepts", kind="switch",
        help="Leave out concept vectors, which take one more pass over the images.",
    )  # fmt: skip
    cross_check: bool = setting(
        False, "--cross-check", kind="switch", help="Add causal-learn's KCI test; slow."
    )
    accelerate: Accelerate = setting(
        ExplainSettings.accelerate, "--accelerate", choices=ACCELERATE,
        help="Engine of the model's layers where it is asked again, as for xattn explain.",
    )  # fmt: skip
    precision: Precision | None = setting(
        None, "--precision", choices=PRECISIONS, help="As for xattn explain; default the run's."
    )
    workers: int | None = setting(
        None, "--workers", kind="integer", low=0, recorded=False,
        help="Threads for decoding and masks; default one per core, at most 4.",
    )  # fmt: skip


@dataclass(frozen=True)
class OverTrainingSettings(DependenceSettings):
    """How `usage_over_training` measures; see there for what each setting means."""

    methods: str | Sequence[str] = setting(
        (), "--method", "-m", several=True, help="Maps to make of every checkpoint; repeatable."
    )
    batch_size: int = setting(
        16, "--batch-size", kind="integer", low=1, help="Images per forward pass."
    )
    workers: int | None = setting(
        None, "--workers", kind="integer", low=0, recorded=False, help="Threads for decoding."
    )


@dataclass(frozen=True)
class UsageInputs(Settings):
    """What `feature_usage` measures.

    Attributes:
        annotations: the annotation file.
    """

    annotations: str | Path | None = setting(
        None, "--annotations", kind="file", required=True, help="Masks, values and labels."
    )


@dataclass(frozen=True)
class EvaluateInputs(Settings):
    """What is evaluated.

    Attributes:
        annotations: the annotation file.
        images: where the files are instead.
        splits: a splits.csv instead of the checkpoint's own.
    """

    annotations: str | Path | None = setting(
        None, "--annotations", kind="file", required=True, help="Images, labels and groups."
    )
    images: str | Path | Sequence[str | Path] | None = setting(
        None, "--images", "-i", kind="path", several=True,
        help="Only the images found here, by id; repeatable.",
    )  # fmt: skip
    splits: str | Path | None = setting(
        None, "--splits", kind="file", help="splits.csv; default the one beside the checkpoint."
    )


@dataclass(frozen=True)
class EvaluateSettings(Settings):
    """How a model is evaluated; see `evaluate` for what each setting means."""

    split: Sequence[str] | None = setting(
        None, "--split", several=True,
        help="val, test or ood; repeatable; default test and ood.",
    )  # fmt: skip
    domain: str | None = setting(
        None, "--domain", help="Feature of the annotation file to break the results down by."
    )
    trap: str | Sequence[str] = setting(
        (), "--trap", several=True, metavar="FEATURE",
        help="Artifact that is reversed in ood: its part in the loss there; repeatable, or all.",
    )  # fmt: skip
    positive: str | Sequence[str] | None = setting(
        None, "--positive", several=True, metavar="NAME", help=POSITIVE
    )
    bootstrap: int = setting(
        2000, "--bootstrap", kind="integer", low=99, help="Bootstrap replicates of each interval."
    )
    seed: int = setting(0, "--seed", kind="integer", help="Same seed, same tables.")
    batch_size: int = setting(
        16, "--batch-size", kind="integer", low=1, help="Images per forward pass."
    )
    precision: Precision | None = setting(
        None, "--precision", choices=PRECISIONS, help="As for xattn explain; default the run's."
    )
    workers: int | None = setting(
        None, "--workers", kind="integer", low=0, recorded=False,
        help="Threads for decoding; default one per core, at most 4.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bootstrap < 99:
            raise UsageError(
                f"Expected a bootstrap of at least 99 replicates, but got {self.bootstrap}"
            )


@dataclass(frozen=True)
class FaithfulnessSettings(Settings):
    """How the maps of a run are tested; see `faithfulness` for what each setting means."""

    images: int = setting(
        50, "--evaluate-images", kind="integer", low=1, dest="evaluate_images",
        help="Images drawn at random for it.",
    )  # fmt: skip
    permutations: int = setting(999, kind="integer")
    bootstrap: int = setting(1000, kind="integer")
    seed: int = setting(0, "--seed", kind="integer", help="Of --evaluate: same seed, same scores.")
    batch_size: int = setting(16, kind="integer")
    accelerate: Accelerate = setting(ExplainSettings.accelerate, recorded=False)
    workers: int | None = setting(None, kind="integer", recorded=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images < 1:
            raise UsageError(f"Expected at least 1 image to evaluate, but got {self.images}")


BACKBONE = "backbone"
"""As a baseline: each hybrid has its own."""


@dataclass(frozen=True)
class CompareSettings(Settings):
    """How trained models are compared; see `compare` for what each setting means."""

    baseline: str | None = setting(
        None, "--baseline",
        help="Model to compare with; backbone: each hybrid with its own, and with its control; "
        "default the plain convolutional one.",
    )  # fmt: skip
    all_pairs: bool = setting(
        False, "--all-pairs", kind="switch", help="Compare every model with every other."
    )
    split: Sequence[str] | None = setting(
        None, "--split", several=True, help="Repeatable; default test and ood."
    )
    target: str | None = setting(
        None, "--target", metavar="NAME", help="Of independent outputs the one to compare."
    )
    metric: str | Sequence[str] = setting(
        ("balanced_accuracy",), "--metric", several=True,
        help="A metric of `xattn evaluate`; repeatable.",
    )  # fmt: skip
    rope: float = setting(
        0.01, "--rope", kind="number", low=0,
        help="Differences up to this one count as equivalent.",
    )  # fmt: skip
    alpha: float = setting(
        0.05, "--alpha", kind="number", low=0, high=1, open=True,
        help="Level of the verdicts, after adjustment.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.alpha < 1 and self.rope >= 0):
            raise UsageError(
                f"Expected alpha in (0, 1) and rope of at least 0, but got alpha {self.alpha:g} "
                f"and rope {self.rope:g}"
            )
