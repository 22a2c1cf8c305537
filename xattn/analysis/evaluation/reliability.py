"""reliability.csv: accuracy against confidence, bin by bin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.metrics import ALL, Predictions
from xattn.stats.codes import group_codes
from xattn.stats.resampling import FEWEST_GROUPS, group_weights

_KINDS = {"ece": "equal width", "ece_adaptive": "equal mass"}


def reliability_rows(
    said: Predictions, groups: pd.Series[Any], split: str, bootstrap: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Give a row for each kind of bins and bin that is not empty.

    `low` and `high` are the 95 % interval of the accuracy (bootstrap over groups); `expected_low`
    and `expected_high` hold 95 % of the accuracies that a calibrated model would show in that bin.

    Args:
        said: predictions of n images.
        groups: (n,), missing ones stand alone.
        split: its name.
        bootstrap: replicates.
        seed: same seed, same rows.

    Source: Guo et al. 2017; Broecker and Smith 2007 for what a calibrated model would show.
    """
    n = len(said.truth)
    group = group_codes(groups, n)
    enough = int(group.max()) + 1 >= FEWEST_GROUPS
    weights = group_weights(group, n, bootstrap if enough else 1, seed)
    for name, binned in said.binned.items():
        member = binned.member.astype(np.float32)
        with np.errstate(invalid="ignore"):
            drawn = (weights @ (member * binned.hit[:, None])) / (weights @ member)
        # A bin that some replicates left empty still has an interval, from the others.
        low, high = (np.full(member.shape[1], np.nan),) * 2
        filled = ~np.isnan(drawn).all(axis=0)
        if enough:
            low, high = low.copy(), high.copy()
            low[filled], high[filled] = np.nanquantile(drawn[:, filled], [0.025, 0.975], axis=0)
        expected = binned.expected(seed)
        count = binned.member.sum(axis=0)
        for b in np.flatnonzero(count):
            inside = binned.member[:, b]
            band = np.quantile(expected[:, b], [0.025, 0.975])
            yield {
                "split": split,
                "domain": ALL,
                "bins": _KINDS[name],
                "bin": int(b),
                "n": int(count[b]),
                "confidence": float(binned.confidence[inside].mean()),
                "accuracy": float(binned.hit[inside].mean()),
                "low": float(low[b]),
                "high": float(high[b]),
                "expected_low": float(band[0]),
                "expected_high": float(band[1]),
                "from": float(binned.edges[b]),
                "to": float(binned.edges[b + 1]),
            }
