"""How good independent outputs are together: means over them, with one interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from xattn.annotations.findings import shows
from xattn.runs import RunFolder
from xattn.stats.codes import group_codes
from xattn.stats.finding_metrics import score_findings
from xattn.stats.resampling import FEWEST_GROUPS

_CODE = {True: 1, False: 0, None: -1}


def means_over_outputs(
    run: RunFolder, of_split: Mapping[str, str], *, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Return a row per split: means over the outputs that some images show and some lack.

    Args:
        run: of independent outputs, whose predictions have their labels and groups.
        of_split: split of the images to evaluate, by id.
        bootstrap: replicates; whole groups are drawn, of all outputs at once.
        seed: same seed, same rows.

    Returns:
        Rows of split, outputs (how many the means are over), n, groups, auc, balanced_accuracy,
        each of the two with its 95 % interval, NaN with fewer than five groups.
    """
    table, rows = run.predictions, []
    split = table["image_id"].map(of_split)
    for name in ("val", "test", "ood", *sorted(set(split.dropna()) - {"val", "test", "ood"})):
        part = table[(split == name).to_numpy()]
        if part.empty:
            continue
        logits = part[[f"logit_{c}" for c in run.classes]].to_numpy(np.float64)
        answers = np.stack(
            [[_CODE[one] for one in shows(part["label"], c)] for c in run.classes], axis=1
        ).astype(np.int8)
        groups = group_codes(part["group"], len(part)).tolist()
        scores = score_findings(
            logits, answers, run.classes, groups, seed=seed, resamples=bootstrap
        )
        scored = sum(math.isfinite(one.auc.value) for one in scores.findings.values())
        row: dict[str, Any] = {"split": name, "outputs": scored, "n": scores.n}
        row["groups"] = scores.groups
        for metric in ("auc", "balanced_accuracy"):
            found = getattr(scores, metric)
            enough = scores.groups >= FEWEST_GROUPS
            row[metric] = found.value
            row[f"{metric}_low"] = found.low if enough else math.nan
            row[f"{metric}_high"] = found.high if enough else math.nan
        rows.append(row)
    return rows


def sentences_over_outputs(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return a sentence per split.

    Args:
        rows: as `means_over_outputs` returns them.
    """
    said = []
    for row in rows:
        if not row["outputs"]:
            continue
        n, groups = row["n"], row["groups"]
        size = f"{n} images" if n == groups else f"{n} images of {groups} groups"
        said.append(
            f"Means over {row['outputs']} outputs, {row['split']} ({size}): "
            f"balanced accuracy {_number(row, 'balanced_accuracy')}; AUC {_number(row, 'auc')}."
        )
    return tuple(said)


def _number(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    interval = "" if math.isnan(low) else f"{low:.3f} to {high:.3f}, "
    return f"{row[metric]:.3f} ({interval}chance 0.50)"
