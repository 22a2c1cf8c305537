"""Which images are shown: a stated rule, the same at every call, with no eye for nice ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.numbers import listed, readable
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

RULE = (
    "images are taken in turn from every pair of label and predicted class, within each pair "
    "those with the most annotated features first, then the most confident"
)

_BY_ATTENTION = 4  # one image in so many is there for its artifact


def chosen(aligned: AlignedRuns, n: int) -> tuple[NDArray[np.intp], str]:
    """Choose at most n of the images that all runs hold; return their places and the rule in words.

    By `RULE`, the predicted classes of all runs counting; but of four images one is among those
    whose map, by the first method of the first run, lies most on an artifact, where that is known.
    """
    frame = ranked(aligned.runs[0], aligned.sources[0]).set_index("row")
    frame = frame.loc[aligned.rows[0]].assign(image=np.arange(aligned.rows.shape[1]))
    by = ["label", "predicted"]
    for run in range(1, len(aligned.runs)):
        said = aligned.column("predicted", run).fillna("")
        frame[f"predicted by {run}"] = said.astype(str).to_numpy()
        by.append(f"predicted by {run}")
    frame["label"] = aligned.labels.to_numpy()
    frame = frame.sort_values(
        ["features", "confidence", "image"], ascending=[False, False, True], kind="stable"
    )
    drawn = most_attended(aligned, n // _BY_ATTENTION)
    rest = in_turn(frame[~frame["image"].isin(drawn)], by, n - len(drawn))
    rule = RULE
    if len(by) > 2:
        rule = rule.replace("predicted class", "predicted classes")
    if len(drawn):
        names = listed([readable(name) for name in aligned.artifacts])
        rule += (
            f"; {len(drawn)} of them instead for the highest lift of {aligned.methods[0]} on "
            f"{names}, in turn"
        )
    return np.concatenate([rest["image"].to_numpy(np.intp), drawn]), rule


def most_attended(aligned: AlignedRuns, n: int) -> NDArray[np.intp]:
    """Return the places of n images, in turn from each artifact, the highest lift on it first.

    None where the runs have no maps.
    """
    orders = []
    for name in aligned.artifacts if aligned.methods else ():
        lifts = aligned.lifts[0, :, 0, aligned.features.index(name)]
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


def ranked(run: RunFolder, sources: RunSources | None = None) -> pd.DataFrame:
    """Describe every image by what the choice goes by, best candidates first.

    Returns:
        Columns row (its row in predictions), label ("" where unknown), predicted, correct
        (True, False, or None without a label or a prediction), confidence, features (number of
        masks).
    """
    sources = sources or RunSources(run)
    table = run.predictions
    label = sources.labels
    predicted = table["predicted"].fillna("").astype(str)
    correct: pd.Series[Any] = (label == predicted).astype(object)
    frame = pd.DataFrame(
        {
            "row": range(len(table)),
            "label": label,
            "predicted": predicted,
            "correct": correct.where((label != "") & (predicted != ""), None),
            "confidence": table[[f"prob_{c}" for c in run.classes]].max(axis=1),
            "features": sources.features_seen,
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
