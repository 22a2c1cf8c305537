"""What was planted, and what chance made of it: the known answers of a generated data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.synthetic.features import FEATURES
from xattn.synthetic.plan import TRAITS, Plan, kinds
from xattn.synthetic.spec import LABELS, ImageSpec

GENERATOR = 1
"""Counts up whenever the same settings give other pixels."""


def describe(plan: Plan, specs: Sequence[ImageSpec], size: tuple[int, int]) -> dict[str, Any]:
    """Return plain JSON values: settings, the distribution of every variable, realised counts.

    `log_odds_ratio` adds 0.5 to each cell of the 2 x 2 table (Haldane-Anscombe), so that it is
    finite; `standard_error` is the root of the sum of the cells' inverses. Both take images as
    independent, which images of one lesion are not for structures, traits and sex.

    Args:
        plan: the distribution.
        specs: what was drawn from it.
        size: (height, width) of the images.
    """
    malignant = np.array([spec.label == LABELS[1] for spec in specs])
    variables: dict[str, Any] = {}
    kind_of = kinds()
    for name in FEATURES:
        present = np.array([name in spec.present for spec in specs])
        variables[name] = {"kind": kind_of[name]} | _binary(plan, name, present, malignant)
    male = np.array([spec.sex == "male" for spec in specs])
    variables["sex"] = {"kind": kind_of["sex"]} | _binary(plan, "sex", male, malignant)
    for name in TRAITS:
        scores = np.array([spec.traits[name] for spec in specs])
        variables[name] = {"kind": kind_of[name]} | _continuous(plan, name, scores, malignant)
    return {
        "schema": "xattn-truth/1",
        "generator": GENERATOR,
        "seed": plan.seed,
        "n": len(specs),
        "size": list(size),
        "positive_rate": plan.positive_rate,
        "pair_rate": plan.pair_rate,
        "labels": {LABELS[0]: int((~malignant).sum()), LABELS[1]: int(malignant.sum())},
        "groups": len({spec.group for spec in specs}),
        "variables": variables,
    }


def _binary(
    plan: Plan, name: str, present: NDArray[np.bool_], malignant: NDArray[np.bool_]
) -> dict[str, Any]:
    chance = plan.chance(name)
    cells = np.array(
        [
            [(present & malignant).sum(), (~present & malignant).sum()],
            [(present & ~malignant).sum(), (~present & ~malignant).sum()],
        ]
    )
    odds = np.log(cells + 0.5)
    return {
        "effect": plan.effect(name),
        "chance": {
            LABELS[0]: round(chance.benign, 6),
            LABELS[1]: round(chance.malignant, 6),
        },
        "present": {LABELS[0]: int(cells[1, 0]), LABELS[1]: int(cells[0, 0])},
        "log_odds_ratio": round(float(odds[0, 0] - odds[0, 1] - odds[1, 0] + odds[1, 1]), 4),
        "standard_error": round(float(np.sqrt((1 / (cells + 0.5)).sum())), 4),
    }


def _continuous(
    plan: Plan, name: str, scores: NDArray[np.float64], malignant: NDArray[np.bool_]
) -> dict[str, Any]:
    groups = {LABELS[0]: scores[~malignant], LABELS[1]: scores[malignant]}
    return {
        "effect": plan.effect(name),
        "mean": {label: round(plan.mean(name, label), 6) for label in LABELS},
        "realised_mean": {
            label: round(float(values.mean()), 4) if values.size else None
            for label, values in groups.items()
        },
    }
