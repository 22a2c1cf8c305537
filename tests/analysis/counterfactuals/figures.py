"""From the answers of networks to what an edit is worth: correlation, slope, error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tests.analysis.counterfactuals.images import Exam
from tests.analysis.counterfactuals.kinds import Kind
from tests.analysis.counterfactuals.networks import Answers

LEARNT = 0.75
"""AUC from which a network is held to know a feature."""
_NOTHING = 0.1
"""A true change of fewer standard deviations of the score has no sign."""
_REPLICATES = 2000
COLUMNS = [
    "domain", "edit", "feature", "networks", "learnt", "auc", "scenes", "pairs", "true_sd",
    *(f"{name}{end}" for name in ("correlation", "slope") for end in ("", "_low", "_high")),
    "sign_agreement", "error_sd", "control_sd", "others_sd",
]  # fmt: skip


def table(kind: Kind, asked: Exam, said: Sequence[Answers]) -> pd.DataFrame:
    """Return a row an edit and feature, networks that did not learn it counted and left out.

    Changes are in standard deviations of the output over images left out of training, so that
    every network counts alike. Intervals of 95 % are of networks and scenes drawn anew, both.
    """
    names = list(kind.tasks)
    rows = []
    for task, edit in ((n, held.edit) for n, one in kind.tasks.items() for held in one.held):
        own = asked.pairs[(asked.pairs["task"] == task) & (asked.pairs["edit"] == edit)]
        able = [one for one in said if one.auc[names.index(task)] >= LEARNT]
        row = {"domain": kind.domain, "edit": edit, "feature": kind.tasks[task].feature,
               "networks": len(said), "learnt": len(able),
               "auc": np.mean([one.auc[names.index(task)] for one in said]),
               "scenes": own["scene"].nunique(), "pairs": len(own)}  # fmt: skip
        rows.append(row | (_row(own, names, task, able) if able and len(own) else {}))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(
    own: pd.DataFrame, names: list[str], task: str, able: Sequence[Answers]
) -> dict[str, float]:
    place = names.index(task)
    edited, control, true = (
        np.stack([_changes(own, one, role, of)[:, place] for one in able])
        for role, of in (("edited", "before"), ("control", "compared"), ("true", "before"))
    )
    scene = pd.factorize(own["scene"])[0]
    drawn = weights(len(able), scene.max() + 1)
    r, slope = fits(edited, true, scene, drawn)
    signed = np.abs(true) >= _NOTHING
    same = np.sign(edited) == np.sign(true)
    return {
        "true_sd": float(np.sqrt(np.square(true).mean())),
        **interval("correlation", r),
        **interval("slope", slope),
        "sign_agreement": float(same[signed].mean()) if signed.any() else np.nan,
        "error_sd": float(np.sqrt(np.square(edited - true).mean())),
        "control_sd": _size(control),
        "others_sd": _of_others(own, names, task, able),
    }  # fmt: skip


def _changes(own: pd.DataFrame, one: Answers, role: str, of: str) -> np.ndarray:
    """Return changes (pairs, tasks) of the outputs, NaN without an image."""
    after, before = own[role].to_numpy(), own[of].to_numpy()
    change = (one.scores[after] - one.scores[before]) / one.spread
    return np.where(after[:, None] >= 0, change, np.nan)


def _size(changes: np.ndarray) -> float:
    known = changes[~np.isnan(changes)]
    return float(np.sqrt(np.square(known).mean())) if len(known) else np.nan


def _of_others(own: pd.DataFrame, names: list[str], task: str, able: Sequence[Answers]) -> float:
    """Return by how much the edit moves outputs of other features, beyond what is true of them."""
    found = []
    for one in able:
        wrong = _changes(own, one, "edited", "before") - _changes(own, one, "true", "before")
        others = [i for i, n in enumerate(names) if n != task and one.auc[i] >= LEARNT]
        if others:
            found.append(np.square(wrong[:, others]).mean())
    return float(np.sqrt(np.mean(found))) if found else np.nan


def weights(networks: int, scenes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each network and each scene is drawn, (replicates + 1, n); first once."""
    rng = np.random.default_rng(0)
    drawn = [
        np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), _REPLICATES)])
        for n in (networks, scenes)
    ]
    return drawn[0], drawn[1]


def fits(
    edited: np.ndarray,
    true: np.ndarray,
    scene: np.ndarray,
    drawn: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return correlation and slope through nothing, means over networks, by replicate.

    Args:
        edited, true: (networks, pairs) changes.
        scene: (pairs,).
        drawn: weights of networks and scenes.
    """
    one = np.ones_like(true)
    products = (one, edited, true, edited * edited, true * true, edited * true)
    sums = np.zeros((6, len(true), scene.max() + 1))
    for k, values in enumerate(products):
        np.add.at(sums[k], (slice(None), scene), values)
    n, m, t, mm, tt, mt = drawn[1] @ sums.transpose(0, 2, 1)  # each (replicates, networks)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (mt - m * t / n) / np.sqrt((mm - m * m / n) * (tt - t * t / n))
        slope = mt / tt
    weight = drawn[0] / drawn[0].sum(axis=1, keepdims=True)
    return (r * weight).sum(axis=1), (slope * weight).sum(axis=1)


def interval(name: str, replicates: np.ndarray) -> dict[str, float]:
    """Return the first replicate, and the interval of the others, as columns."""
    known = replicates[1:][~np.isnan(replicates[1:])]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return {name: float(replicates[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
