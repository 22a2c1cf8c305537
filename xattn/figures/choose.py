"""Which images are shown: a stated rule, the same at every call, with no eye for nice ones."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xattn.figures.evidence import Evidence
from xattn.runs import RunFolder

RULE = (
    "images are taken in turn from every pair of label and predicted class, within each pair "
    "those with the most annotated features first, then the most confident"
)


def ranked(run: RunFolder, evidence: Evidence | None = None) -> pd.DataFrame:
    """Describe every image by what the choice goes by, best candidates first.

    Returns:
        Columns row (its row in predictions), label ("" where unknown), predicted, correct
        (True, False, or None without a label), confidence, features (number of masks).
    """
    evidence = evidence or Evidence(run)
    table = run.predictions
    label = evidence.labels
    predicted = table["predicted"].astype(str)
    correct: pd.Series[Any] = (label == predicted).astype(object)
    frame = pd.DataFrame(
        {
            "row": range(len(table)),
            "label": label,
            "predicted": predicted,
            "correct": correct.where(label != "", None),
            "confidence": table[[f"prob_{c}" for c in run.classes]].max(axis=1),
            "features": evidence.features_seen,
        }
    )
    return frame.sort_values(
        ["features", "confidence", "row"], ascending=[False, False, True], kind="stable"
    )


def in_turn(frame: pd.DataFrame, by: list[str], n: int) -> pd.DataFrame:
    """Take at most n rows, in turn from each group of equal `by`, first rows first.

    Groups take turns in the order of their names; smaller ones run out earlier.
    """
    turn = frame.groupby(by, dropna=False, sort=False).cumcount().rename("turn")
    order = frame.assign(turn=turn).sort_values(["turn", *by], kind="stable")
    return order.head(n).drop(columns="turn")
