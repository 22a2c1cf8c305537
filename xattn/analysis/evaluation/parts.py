"""The parts of an evaluation: splits, whole and by domain, and what was predicted in each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.metrics import ALL, Predictions
from xattn.analysis.positive import Positive
from xattn.stats.codes import positions


def as_predictions(part: pd.DataFrame, positive: Positive, *, ordered: bool = False) -> Predictions:
    """Read the columns label and logit_<class>.

    Of a class against the rest, the decision stays the model's: whether the class of the largest
    logit is a positive one.

    Args:
        part: rows of the predictions.
        positive: which classes are told apart.
        ordered: whether the classes are grades; of one against the rest that is left out.

    Returns:
        Logits, labels and decisions of these rows.
    """
    classes = positive.classes
    logits = part[[f"logit_{c}" for c in classes]].to_numpy(np.float64)
    truth = positions(part["label"], list(classes))
    if not positive.against_rest:
        side = max(0, positive.side)
        return Predictions(logits, truth, classes, positive=side, ordered=ordered)
    odds, side_of = positive.log_odds(logits), positive.side_of
    both = np.stack([np.zeros_like(odds), odds], axis=1)
    said = side_of[logits.argmax(axis=1)]
    return Predictions(both, side_of[truth], positive.sides, said, positive.side)


def domains_and_splits(
    predictions: pd.DataFrame, seed: int
) -> Iterator[tuple[str, str, pd.DataFrame, int]]:
    """Give every split, whole and by domain, and a seed for each.

    Args:
        predictions: columns split and domain.
        seed: of all.
    """
    parts = []
    for split in map(str, dict.fromkeys(predictions["split"])):
        part = predictions[predictions["split"] == split]
        parts.append((split, ALL, part))
        for domain in sorted(set(part["domain"].dropna()) - {""}):
            parts.append((split, str(domain), part[part["domain"] == domain]))
    for i, one in enumerate(parts):
        yield *one, int(np.random.SeedSequence([seed, i]).generate_state(1)[0])


def whole_splits(predictions: pd.DataFrame, seed: int) -> Iterator[tuple[str, pd.DataFrame, int]]:
    """Give every split as a whole, with the seed it has among `domains_and_splits`.

    Args:
        predictions: columns split and domain.
        seed: of all.
    """
    for split, domain, part, number in domains_and_splits(predictions, seed):
        if domain == ALL:
            yield split, part, number
