"""faithfulness.csv: means over images, beside the controls on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.faithfulness.controls import CONTROLS, EDGES, RANDOM
from xattn.analysis.faithfulness.scores import FAITHFULNESS, HIGHER_IS_BETTER, SANITY
from xattn.stats.adjust import enough_permutations, holm
from xattn.stats.codes import group_codes
from xattn.stats.resampling import mean_interval
from xattn.stats.sign_flip import sampled_sign_flip_p

ALPHA = 0.05
_SHORT = {RANDOM: "random", EDGES: "edges"}


def faithfulness_table(
    scores: pd.DataFrame,
    groups: NDArray[Any] | None = None,
    *,
    permutations: int = 999,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return faithfulness.csv: one row per map or control, and score.

    Args:
        scores: as `Scorer.run` gives them, the same images in the same order for each method.
        groups: of each image; images of one group are drawn, and change their sign, together.
        permutations: behind each p-value; more where so many rows could never reach 0.05.
        bootstrap, seed: of intervals and all draws.
    """
    images = scores["image_id"].drop_duplicates()
    group = group_codes(groups, len(images))
    keys = ["method", "target", "grid", "cells"]
    of = {
        tuple(str(k) for k in key): part.set_index("image_id").loc[images]
        for key, part in scores.groupby(keys, sort=False)
    }
    methods = [key for key in of if key[0] not in CONTROLS]
    drawn = enough_permutations(permutations, len(methods) * len(FAITHFULNESS), ALPHA)
    rows = []
    for key, part in of.items():
        for score in (*FAITHFULNESS, *SANITY):
            values = part[score].to_numpy(dtype=np.float64)
            row = {**dict(zip(keys, key, strict=True)), "score": score}
            row["better"] = "higher" if score in HIGHER_IS_BETTER else "lower"
            row |= _mean(values, group, bootstrap, seed)
            if key[0] not in CONTROLS:
                controls = {c: of[(c, *key[1:])][score].to_numpy(dtype=float) for c in CONTROLS}
                row |= _against(values, controls, group, drawn, seed)
            rows.append(row)
    table = _judged(pd.DataFrame(rows))
    return table[[*(c for c in table if c != "cells"), "cells"]]


def _mean(
    values: NDArray[np.float64], group: NDArray[np.intp], bootstrap: int, seed: int
) -> dict[str, Any]:
    known = ~np.isnan(values)
    low, high = np.nan, np.nan
    if known.any():
        low, high = mean_interval(values[known], group[known], bootstrap, seed)
    value = float(values[known].mean()) if known.any() else np.nan
    return {"n": int(known.sum()), "value": value, "low": low, "high": high}


def _against(
    values: NDArray[np.float64],
    controls: dict[str, NDArray[np.float64]],
    group: NDArray[np.intp],
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Compare with each control on the images that have both."""
    row: dict[str, Any] = {}
    for name, control in controls.items():
        both = ~(np.isnan(values) | np.isnan(control))
        short = _SHORT[name]
        row[short] = float(control[both].mean()) if both.any() else np.nan
        difference = (values - control)[both]
        row[f"p_{short}"] = sampled_sign_flip_p(difference, group[both], permutations, seed)
    return row


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Add whether a score beats both controls, over all scores of faithfulness.

    Its p-value is the larger of the two, for both have to be beaten (intersection-union test),
    and 1 where a control is ahead.
    """
    sign = np.where(table["better"] == "higher", 1, -1)
    ahead = [sign * (table["value"] - table[short]) > 0 for short in _SHORT.values()]
    largest = table[["p_random", "p_edges"]].max(axis=1, skipna=False)
    p = largest.where(np.logical_and(*ahead) | largest.isna(), 1.0)
    table["p_value"] = p.where(table["score"].isin(FAITHFULNESS))
    table["p_adjusted"] = holm(table["p_value"])
    beaten = (table["p_adjusted"] <= ALPHA).astype(object)
    table["beats_controls"] = beaten.where(table["p_adjusted"].notna(), None)
    return table


def faithfulness_sentences(table: pd.DataFrame) -> tuple[str, ...]:
    """Return one sentence per method: whether it beats its controls, and where it does not.

    Args:
        table: faithfulness.csv.
    """
    said = []
    for method, part in table[~table["method"].isin(CONTROLS)].groupby("method", sort=False):
        rows = part.set_index("score")
        tested = rows.loc[list(FAITHFULNESS)]
        kept = rows.loc["randomised_all"]
        n, beaten = int(tested["n"].max()), tested["beats_controls"].eq(True)
        if tested["p_value"].isna().all():
            said.append(f"{method}: cannot be told from its controls on {n} images.")
            continue
        names = ", ".join(tested.index[~beaten])
        verdict = {
            True: f"beats both controls in all {len(tested)} scores",
            False: f"beats both controls in {beaten.sum()} of {len(tested)} scores, not in {names}",
        }[bool(beaten.all())]
        if not beaten.any():
            verdict = "beats both controls in none of the scores"
        line = f"{method}: {verdict} ({n} images)"
        if not np.isnan(kept["value"]):
            line += (
                "; with the model's weights shuffled, its maps still agree "
                f"{kept['value']:.2f} with the real ones (Spearman; unrelated maps 0, a map that "
                "ignores the model 1)"
            )
        said.append(line + ".")
    return tuple(said)
