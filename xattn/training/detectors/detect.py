"""`xattn annotations detect`: learn artifacts from the flags at hand, and score every image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xattn.annotations import read_annotations
from xattn.annotations.records import Annotations
from xattn.disk import replacing
from xattn.errors import UsageError, near
from xattn.features.computed.collect import DETECTED
from xattn.paths import as_path
from xattn.stats.codes import codes, group_codes
from xattn.training.detectors.activations import BACKBONE, pooled_activations, pretrained_backbone
from xattn.training.detectors.cross_fit import FOLDS, Scores, cross_fitted

FEWEST = 20
"""Images with a flag, and without, from which a detector is trained."""


@dataclass(frozen=True)
class Detected:
    """Scores of artifacts in all images of an annotation file.

    Attributes:
        path: the table: image_id, and a column `<name>.detected` each, in [0, 1].
        table: the same.
        scores: by artifact, how good its detector is.
        notes: what could not be learned or read.
    """

    path: Path
    table: pd.DataFrame
    scores: dict[str, Scores]
    notes: tuple[str, ...]

    @property
    def quality(self) -> pd.DataFrame:
        """One row per artifact: AUC against the flags with its interval, reliability, counts."""
        rows = [
            {
                "feature": name,
                "flagged": one.flagged,
                "without": one.without,
                "auc": one.auc,
                "low": one.low,
                "high": one.high,
                "reliability": one.reliability,
            }
            for name, one in self.scores.items()
        ]
        return pd.DataFrame(rows)


def detect_artifacts(
    annotations: Annotations | str | Path,
    out: str | Path = "detected.csv",
    *,
    features: str | Sequence[str] = (),
    architecture: str = BACKBONE,
    folds: int = FOLDS,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Detected:
    """Train a detector of each artifact on the flags that an annotation file has, and score images.

    A pretrained network is run once over the images; on its pooled activations a logistic
    regression is trained per artifact and fold. No image is scored by a detector that saw it, or
    another of its group. Give the table to `feature_usage(..., more_features="detected.csv")`.

    Args:
        annotations: an annotation file, or what `read_annotations` made of it.
        out: the table to write; a `.json` beside it says how good each detector is.
        features: yes/no features to learn; default all artifacts that are flagged, and not, in at
            least 20 images each.
        architecture: of timm, with published weights.
        folds: of the cross-fitting.
        seed: same seed, same scores.
        workers: threads that read.
        progress: called as progress(done, total).

    Returns:
        The table, and how good each detector is.

    Raises:
        UsageError: no feature can be learned, or one that is named is unknown or too rare.
        CheckpointError: the network's weights are not on this machine and cannot be fetched.

    Examples:
        >>> found = xattn.detect_artifacts("isic_attributes.json")  # doctest: +SKIP
        >>> found.quality[["feature", "auc"]]  # doctest: +SKIP
    """
    known = annotations if isinstance(annotations, Annotations) else read_annotations(annotations)
    flags, notes = _flags(known, [features] if isinstance(features, str) else list(features))
    network, preprocessing = pretrained_backbone(architecture)
    files = [image.file for image in known.images]
    activations, unread = pooled_activations(
        network, preprocessing, files, workers=workers, progress=progress
    )
    notes += [f"{known.images[row].id}: {why}" for row, why in unread.items()]
    read = np.setdiff1d(np.arange(len(files)), list(unread))
    classes = [image.label if isinstance(image.label, str) else None for image in known.images]
    label = codes(pd.Series(classes, dtype=object))[0]
    groups = pd.Series([image.group for image in known.images], dtype=object)
    group = group_codes(groups, len(files))
    scores: dict[str, Scores] = {}
    table = pd.DataFrame({"image_id": [image.id for image in known.images]})
    for name, flag in flags.items():
        found = cross_fitted(
            activations[read], flag[read], label[read], group[read], folds=folds, seed=seed
        )
        scores[name] = found
        table[name + DETECTED] = np.nan
        table.loc[read, name + DETECTED] = found.score
    path = as_path(out, "a file")
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    facts = {
        "schema": "xattn-detected/1",
        "annotations": str(known.path),
        "architecture": architecture,
        "folds": folds,
        "seed": seed,
        "detectors": {
            name: {key: value for key, value in vars(one).items() if key != "score"}
            for name, one in scores.items()
        },
        "notes": notes,
    }
    with replacing(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return Detected(path, table, scores, tuple(notes))


def _flags(
    annotations: Annotations, names: Sequence[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the flags (n,) of what can be learned, 1, 0 or NaN, and why others cannot."""
    for name in names:
        if name not in annotations.features:
            raise UsageError(
                f"Expected a feature of {annotations.path}, but got {name!r}"
                f"{near(name, annotations.features)}"
            )
    wanted = names or [n for n, f in annotations.features.items() if f.kind == "artifact"]
    found, notes = {}, []
    for name in wanted:
        given = [image.values.get(name) for image in annotations.images]
        if any(value is not None and value not in (0, 1) for value in given):
            notes.append(f"{name}: not a yes or no, left out")
            continue
        flag = np.array([np.nan if value is None else float(value) for value in given])
        shown, without = int((flag == 1).sum()), int((flag == 0).sum())
        if min(shown, without) < FEWEST:
            notes.append(
                f"{name}: flagged in {shown} images and not in {without}, of which {FEWEST} each "
                "are needed; left out"
            )
            continue
        found[name] = flag
    if not found:
        raise UsageError(
            f"Expected an artifact flagged 1 in at least {FEWEST} images and 0 in as many, but got "
            f"none in {annotations.path}{': ' + '; '.join(notes) if notes else ''}"
        )
    return found, notes
