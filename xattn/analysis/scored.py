"""What a run's model said, as the tests take it: decision scores, and outcomes beside labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.groups.bias import FEWEST_IMAGES
from xattn.analysis.groups.rates import Outcomes
from xattn.analysis.positive import Positive
from xattn.runs import RunFolder
from xattn.stats.codes import positions

FEWEST_OF_CLASS = 2 * FEWEST_IMAGES
"""A class of fewer images cannot have enough of them both with and without an artifact."""


def decision_scores(run: RunFolder, positive: Positive) -> NDArray[np.float64]:
    """Return what the usage test takes for a run's prediction.

    The log odds of the positive classes (n,), of two classes the difference of their logits;
    where every class stands for itself the probabilities (n, classes). Of a value itself (n,).
    """
    table = run.predictions
    if run.of_value:
        return table[f"value_{run.of_output}"].to_numpy(dtype=np.float64)
    if positive.each:
        return table[[f"prob_{c}" for c in run.classes]].to_numpy(dtype=np.float64)
    return positive.log_odds(table[[f"logit_{c}" for c in run.classes]].to_numpy(dtype=np.float64))


@dataclass(frozen=True)
class Labelled:
    """Predictions beside labels.

    Attributes:
        outcomes: of the images with a label.
        rows: their places in the run.
        counts: images of each class, those without any too.
    """

    outcomes: Outcomes
    rows: NDArray[np.intp]
    counts: dict[str, int]

    def notes(self) -> list[str]:
        """Say which classes groups and artifacts are not compared on.

        Returns:
            Notes, one line each.
        """
        few = {name: n for name, n in self.counts.items() if n < FEWEST_OF_CLASS}
        if not few:
            return []
        named = ", ".join(f"{name} ({n})" for name, n in few.items())
        small = f"of fewer than {FEWEST_OF_CLASS} images: {named}"
        left = [name for name in self.counts if name not in few]
        if len(self.counts) == 2 or not left:
            return [f"bias.csv and fairness.csv lack the numbers that need a class {small}"]
        return [
            f"bias.csv and fairness.csv compare rates of {', '.join(left)}, not of classes {small}"
        ]


def labelled(run: RunFolder, labels: pd.Series[Any], positive: Positive) -> Labelled:
    """Put predictions beside labels, as far as there are any.

    Where every class stands for itself, those that no label names are no class here: they have no
    rate, and predicting them counts as an error like any other. Classes of fewer than
    `FEWEST_OF_CLASS` images have no rates of their own.

    Args:
        run: with predictions.
        labels: of its images, missing where unknown.
        positive: which classes are told apart.

    Returns:
        The images with a label, and what was predicted of them.
    """
    rows = np.flatnonzero(labels.isin(run.classes))
    label, table = labels.iloc[rows], run.predictions.iloc[rows]
    own = positions(label, run.classes)
    if not positive.each:
        side_of, names = positive.side_of, list(positive.sides)
        logits = table[[f"logit_{c}" for c in run.classes]].to_numpy(np.float64)
        odds = positive.log_odds(logits)
        scores = np.stack([odds, -odds] if positive.side == 0 else [-odds, odds], axis=1)
        outcomes = Outcomes(
            side_of[own], side_of[positions(table["predicted"], run.classes)], scores, names,
            positive.side, label=own if positive.against_rest else None,
        )  # fmt: skip
        counts = np.bincount(outcomes.truth, minlength=2).tolist()
        return Labelled(outcomes, rows, dict(zip(names, counts, strict=True)))
    counted = {c: int((label == c).sum()) for c in run.classes}
    occurring = [c for c, n in counted.items() if n]
    names = occurring if len(occurring) > 1 else list(run.classes)
    outcomes = Outcomes(
        positions(label, names),
        positions(table["predicted"], names),
        table[[f"prob_{c}" for c in names]].to_numpy(np.float64),
        names,
        -1,
        scored=tuple(i for i, c in enumerate(names) if counted[c] >= FEWEST_OF_CLASS),
    )
    return Labelled(outcomes, rows, counted)
