"""The two sides of a trap set, from predicted images and an annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.trap import ALL, Side, trap_table
from xattn.analysis.groups.rates import Outcomes
from xattn.errors import XattnError
from xattn.runs.again import command
from xattn.splits.trap import presences
from xattn.stats.codes import positions
from xattn.stats.columns import Column

if TYPE_CHECKING:
    from xattn.annotations import Annotations


def trap_of_predictions(
    predictions: pd.DataFrame,
    annotations: Annotations,
    features: Sequence[str],
    classes: Sequence[str],
    *,
    bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return trap.csv of predicted images: `ood` is the reversed side, `test` (or `val`) the other.

    Args:
        predictions: image_id, split, group, label (one of the classes), predicted, logit_<class>.
        annotations: say which images show the features.
        features: artifacts or structures; "all" for every artifact of which there are images with
            and without.
        classes: in the order of the logits; the last is the positive one of two, of more none is.
        bootstrap, seed: see `trap_table`.

    Returns:
        trap.csv, see `trap_table`.

    Raises:
        UsageError: a feature is unknown.
        XattnError: a side has no images, or a feature does not vary.
    """
    there = set(predictions["split"])
    first = "test" if "test" in there else "val"
    if not {first, "ood"} <= there:
        known = [name for name, one in annotations.features.items() if one.kind == "artifact"]
        traps = known[:1] if list(features) == [ALL] else features
        options = [word for name in traps for word in ("--trap", name)]
        split = command("xattn", "annotations", "split", annotations.path, *options)
        raise XattnError(
            "Expected images of the splits ood and test (or val) to compare, but got "
            f"{', '.join(sorted(there)) or 'none'}; add --split val --split ood, or make such "
            f"splits with {split}"
        )
    both = predictions[predictions["split"].isin([first, "ood"])]
    names = _artifacts(annotations, both) if list(features) == [ALL] else list(features)
    flags = presences(annotations, list(both["image_id"]), names)
    sides = []
    for split in (first, "ood"):
        inside = (both["split"] == split).to_numpy()
        part = both[inside]
        columns = [
            Column(name, "artifact", "presence", flags[inside, i]) for i, name in enumerate(names)
        ]
        sides.append(Side.of(_outcomes(part, list(classes)), part["group"], columns))
    return trap_table(*sides, bootstrap=bootstrap, seed=seed)


def _artifacts(annotations: Annotations, predictions: pd.DataFrame) -> list[str]:
    names = [name for name, f in annotations.features.items() if str(f.kind) == "artifact"]
    ids = list(predictions["image_id"])
    seen = {name: {annotations.presence(one, name) for one in ids} for name in names}
    found = [name for name in names if {True, False} <= seen[name]]
    if not found:
        raise XattnError(
            f"Expected images with and without an artifact in {annotations.path}, but got none"
        )
    return found


def _outcomes(part: pd.DataFrame, classes: list[str]) -> Outcomes:
    logits = part[[f"logit_{c}" for c in classes]].to_numpy(np.float64)
    scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    if len(classes) == 2:  # the difference separates what probabilities round to 0 or 1
        scores = logits - logits[:, ::-1]
    return Outcomes(
        positions(part["label"], classes),
        positions(part["predicted"], classes),
        scores,
        classes,
        len(classes) - 1,
    )
