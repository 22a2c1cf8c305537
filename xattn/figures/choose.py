"""Which images are shown: a stated rule, the same at every call, with no eye for nice ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.figures.aligned_runs import Together
from xattn.figures.evidence import Evidence
from xattn.figures.numbers import listed, readable
from xattn.runs import RunFolder

RULE = (
    "images are taken in turn from every pair of label and predicted class, within each pair "
    "those with the most annotated features first, then the most confident"
)

_BY_ATTENTION = 4  # one image in so many is there for its artifact


def chosen(together: Together, n: int) -> tuple[NDArray[np.intp], str]:
    """Choose at most n of the images that all runs hold; return their places and the rule in words.

    By `RULE`, the predicted classes of all runs counting; but of four images one is among those
    whose map, by the first method of the first run, lies most on an artifact, where that is known.
    """
    frame = ranked(together.runs[0], together.evidence[0]).set_index("row")
    frame = frame.loc[together.rows[0]].assign(image=np.arange(together.rows.shape[1]))
    by = ["label", "predicted"]
    for run in range(1, len(together.runs)):
        said = together.column("predicted", run).fillna("")
        frame[f"predicted by {run}"] = said.astype(str).to_numpy()
        by.append(f"predicted by {run}")
    frame["label"] = together.labels.to_numpy()
    frame = frame.sort_values(
        ["features", "confidence", "image"], ascending=[False, False, True], kind="stable"
    )
    drawn = most_attended(together, n // _BY_ATTENTION)
    rest = in_turn(frame[~frame["image"].isin(drawn)], by, n - len(drawn))
    rule = RULE
    if len(by) > 2:
        rule = rule.replace("predicted class", "predicted classes")
    if len(drawn):
        names = listed([readable(name) for name in together.artifacts])
        rule += (
            f"; {len(drawn)} of them instead for the highest lift of {together.methods[0]} on "
            f"{names}, in turn"
        )
    return np.concatenate([rest["image"].to_numpy(np.intp), drawn]), rule


def most_attended(together: Together, n: int) -> NDArray[np.intp]:
    """Return the places of n images, in turn from each artifact, the highest lift on it first.

    None where the runs have no maps.
    """
    orders = []
    for name in together.artifacts if together.methods else ():
        lifts = together.lifts[0, :, 0, together.features.index(name)]
        known = np.flatnonzero(np.isfinite(lifts))
        orders.append(known[np.argsort(-lifts[known], kind="stable")].tolist()[:n])
    taken: dict[int, None] = {}
    for _ in range(n):
        for order in orders:
            fresh = (image for image in order if image not in taken)
            image = next(fresh, None)
            if image is not None and len(taken) < n:
                taken[image] = None
    return np.array(list(taken), np.intp)


def ranked(run: RunFolder, evidence: Evidence | None = None) -> pd.DataFrame:
    """Describe every image by what the choice goes by, best candidates first.

    Returns:
        Columns row (its row in predictions), label ("" where unknown), predicted, correct
        (True, False, or None without a label or a prediction), confidence, features (number of
        masks).
    """
    evidence = evidence or Evidence(run)
    table = run.predictions
    label = evidence.labels
    predicted = table["predicted"].fillna("").astype(str)
    correct: pd.Series[Any] = (label == predicted).astype(object)
    frame = pd.DataFrame(
        {
            "row": range(len(table)),
            "label": label,
            "predicted": predicted,
            "correct": correct.where((label != "") & (predicted != ""), None),
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
