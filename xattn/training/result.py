"""What a finished training hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xattn.splits.samples import Failure, Split
from xattn.stats.weighted_metrics import Scores
from xattn.training.history import Epoch


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Attributes:
        out: its folder.
        checkpoint: the weights of the best epoch, for `xattn.load`.
        history: all epochs.
        best: the epoch with the highest balanced accuracy on the validation images.
        scores: by split, of those that were scored and hold images.
        skipped: files that could not be used.
        notes: what a person should know of the splits.
    """

    out: Path
    checkpoint: Path
    history: tuple[Epoch, ...]
    best: Epoch
    scores: Mapping[Split, Scores]
    skipped: tuple[Failure, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        epochs = f"{len(self.history)} epochs, best {self.best.epoch}"
        return f"<xattn.TrainResult {self.checkpoint}: {epochs}>"

    @property
    def val(self) -> Scores:
        """Scores on the validation images, which were used for model selection: they flatter it."""
        return self.scores["val"]

    @property
    def test(self) -> Scores | None:
        """Scores on images that had no part in the training; None if the recipe has none."""
        return self.scores.get("test")

    @property
    def ood(self) -> Scores | None:
        """Scores on images of other origin; None if there are none."""
        return self.scores.get("ood")

    @property
    def metrics(self) -> dict[str, float]:
        """All scores as one flat row: val_balanced_accuracy, test_auc_low, ..."""
        return {
            f"{split}_{name}": value
            for split, scores in self.scores.items()
            for name, value in scores.to_row().items()
        }
