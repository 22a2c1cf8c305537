"""The same test images under all networks, side by side in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.comparison.sources import Trained
from xattn.analysis.evaluation.metrics import ALL, Predictions
from xattn.errors import UsageError, XattnError, near
from xattn.splits.samples import HELD_OUT
from xattn.stats.arrays import Floats
from xattn.stats.codes import group_codes, positions
from xattn.stats.paired import auc_influence
from xattn.stats.weighted_metrics import margin

EVERY = "all"
"""In place of a split where the runs know of none."""


@dataclass(frozen=True)
class SharedImages:
    """What R networks say of the same n images.

    Attributes:
        split: its name.
        logits: (R, n, classes).
        truth: (n,) class numbers.
        group: (n,) numbers from 0; images of one number are not independent.
        classes: names.
    """

    split: str
    logits: Floats
    truth: NDArray[np.intp]
    group: NDArray[np.intp]
    classes: tuple[str, ...]

    def metrics(self) -> pd.DataFrame:
        """Return every metric of all classes together: a row per network, a column per metric."""
        one = np.ones((1, len(self.truth)))
        rows = []
        for logits in self.logits:
            said = Predictions(logits, self.truth, self.classes)
            row = zip(said.names, said.weighted(one)[0], strict=True)
            alone = len(self.classes) == 2
            rows.append({m: v for (m, c), v in row if c == ALL or (alone and m == _RANKED)})
        return pd.DataFrame(rows)

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each prediction is right, (R, n)."""
        return np.asarray(self.logits.argmax(axis=2) == self.truth)

    @cached_property
    def areas(self) -> tuple[Floats, Floats]:
        """Each network's AUC and what each group adds to its error: (R,), (R, groups).

        With more than two classes the mean of each against the rest.
        """
        wanted = [1] if len(self.classes) == 2 else range(len(self.classes))
        parts = [
            auc_influence(
                np.stack([margin(logits, c) for logits in self.logits]),
                self.truth == c,
                self.group,
            )
            for c in wanted
        ]
        areas, influences = zip(*parts, strict=True)
        return np.mean(areas, axis=0), np.mean(influences, axis=0)


_RANKED = "average_precision"


def line_up(found: Sequence[Trained], asked: Sequence[str] | None) -> list[SharedImages]:
    """Line the networks' predictions up, split by split.

    Args:
        found: the networks.
        asked: splits; default test and ood, as far as all networks have them, or all images if no
            network knows of splits.

    Returns:
        One per split, in the order asked for.

    Raises:
        UsageError: a split is asked for that a network has no image of.
        XattnError: the networks were not tested on the same images, or with the same labels, or a
            class has no image.
    """
    tables = [_labelled(one) for one in found]
    names = [set(table["split"]) for table in tables]
    shared = set.intersection(*names)
    if asked is None:
        chosen: list[str] = [s for s in HELD_OUT if s in shared]
        if not chosen and shared == {EVERY}:
            chosen = [EVERY]
        if not chosen:
            raise XattnError(_nothing_shared(found, names))
    else:
        chosen = list(dict.fromkeys(asked))
        for split in chosen:
            lacking = [o.path for o, own in zip(found, names, strict=True) if split not in own]
            if lacking:
                raise UsageError(
                    f"Expected predictions of the split {split!r}, but {lacking[0]} has none"
                    f"{near(split, shared)}"
                )
            if split == "train":
                raise UsageError("Expected a split that was not trained on, but got 'train'")
    return [_aligned(found, tables, split) for split in chosen]


def _nothing_shared(found: Sequence[Trained], names: Sequence[set[str]]) -> str:
    shown = "; ".join(
        f"{one.path} has {', '.join(sorted(own)) or 'none'}"
        for one, own in zip(found[:3], names[:3], strict=True)
    )
    return (
        f"Expected test images that all runs share, but {shown}"
        "; evaluate each with `xattn evaluate` on the same annotation file"
    )


def _labelled(one: Trained) -> pd.DataFrame:
    """Return the labelled rows, with split and group as plain columns, ordered by id."""
    table = one.predictions
    table = table[table["label"].isin(one.classes)]
    none = pd.Series(None, index=table.index, dtype=object)
    split = table.get("split", none)
    split = split.where(split.notna() & (split != ""), EVERY)
    group = table.get("group", none)
    return table.assign(split=split, group=group).sort_values("image_id", kind="stable")


def _aligned(found: Sequence[Trained], tables: Sequence[pd.DataFrame], split: str) -> SharedImages:
    parts = [table[table["split"] == split] for table in tables]
    first = parts[0]
    for one, part in zip(found[1:], parts[1:], strict=True):
        _same_images(found[0], first, one, part, split)
    classes = found[0].classes
    truth = positions(first["label"], list(classes))
    empty = [c for i, c in enumerate(classes) if not (truth == i).any()]
    if empty:
        raise XattnError(
            f"Expected images of every class in the split {split!r}, but got none of "
            f"{', '.join(empty)}; choose another with --split"
        )
    columns = [f"logit_{c}" for c in classes]
    logits = np.stack([part[columns].to_numpy(np.float64) for part in parts])
    grouped = next((p["group"] for p in parts if p["group"].notna().any()), first["group"])
    return SharedImages(split, logits, truth, group_codes(grouped, len(first)), classes)


def _same_images(
    first: Trained, a: pd.DataFrame, other: Trained, b: pd.DataFrame, split: str
) -> None:
    ids_a, ids_b = set(a["image_id"]), set(b["image_id"])
    if ids_a != ids_b or len(a) != len(b):
        raise XattnError(
            f"Expected the same {split} images in all runs, but {other.path} lacks "
            f"{len(ids_a - ids_b)} of the {len(ids_a)} in {first.path} and has "
            f"{len(ids_b - ids_a)} others; train with the same --splits, or evaluate all on the "
            "same annotation file"
        )
    differ = a["label"].to_numpy() != b["label"].to_numpy()
    if differ.any():
        raise XattnError(
            f"Expected the same labels in all runs, but {int(differ.sum())} differ between "
            f"{first.path} and {other.path}, the first of {a['image_id'].iloc[differ.argmax()]}"
        )
