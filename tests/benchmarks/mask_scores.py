"""Mask scores here and in Quantus, for the same maps: ratio to ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from tests.benchmarks.harness import Table, interleave
from xattn.analysis.alignment.scores import RankedMaps, on_grid, positive_fraction
from xattn.images import Cells

N, SIDE = 64, 128


def mask_score_table() -> Table:
    """Compare mass, pointing, AUC, rank accuracy and top-k of 64 maps of 128 x 128."""
    rng = np.random.default_rng(0)
    maps = rng.random((N, SIDE, SIDE)).astype(np.float32)
    masks = np.zeros((N, SIDE, SIDE), dtype=bool)
    for i, (top, left) in enumerate(rng.integers(0, SIDE // 2, (N, 2))):
        masks[i, top : top + SIDE // 3, left : left + SIDE // 3] = True

    cells = Cells.spread((SIDE, SIDE), (SIDE, SIDE))

    def ours() -> object:
        mass = (positive_fraction(maps, cells) * on_grid(masks, cells)).sum(axis=1)
        return mass, RankedMaps.of(maps).against(masks)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = interleave(
            "xattn, all five",
            {"xattn, all five": ours, "Quantus, all five, in one batch": _quantus(maps, masks)},
        )
    return Table(f"Mask scores, {N} maps of {SIDE} x {SIDE}, ours = 1", {"all five": ratios})


def _quantus(maps: np.ndarray, masks: np.ndarray) -> Callable[[], object]:
    import quantus
    import torch

    settings = {
        "abs": False,
        "normalise": False,
        "disable_warnings": True,
        "display_progressbar": False,
    }
    metrics = [
        quantus.RelevanceMassAccuracy(**settings),
        quantus.PointingGame(**settings),
        quantus.AUC(**settings),
        quantus.RelevanceRankAccuracy(**settings),
        quantus.TopKIntersection(k=SIDE * SIDE // 10, **settings),
    ]
    arguments = {
        "model": torch.nn.Identity(),
        "x_batch": np.zeros((N, 3, SIDE, SIDE), dtype=np.float32),
        "y_batch": np.zeros(N, dtype=int),
        "a_batch": maps[:, None],
        "s_batch": masks[:, None],
        "device": "cpu",
        "batch_size": N,
    }
    return lambda: [metric(**arguments) for metric in metrics]
