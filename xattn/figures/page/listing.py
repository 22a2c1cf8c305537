"""What the page's filters go by: a few facts of every image, those without a thumbnail too."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.numbers import text_of
from xattn.runs import RunFolder

MOST_BYTES = 2_500_000
"""Facts stop here; a page of 2,594 images of one model takes a tenth."""


@dataclass(frozen=True)
class Said:
    """What one model says of one image.

    Attributes:
        model: its name.
        predicted: class, or the value.
        confidence: probability of that class, 0 to 1; None of a value.
        outcome: "correct", "false positive", "false negative", "wrong" (of more than two
            classes), or "" without a label.
        in_training: whether the model is known to be fitted to the image, or selected on it.
        reference: of a value, where it is known.
    """

    model: str
    predicted: str
    confidence: float | None
    outcome: str
    in_training: bool
    reference: float | None = None

    @property
    def number(self) -> str:
        """What stands behind the prediction: its probability, or a value's reference."""
        if self.confidence is not None:
            return f"{self.confidence:.2f}"
        return "" if self.reference is None else f"reference {self.reference:.4g}"


@dataclass(frozen=True)
class Listing:
    """Facts of images, as the page's script reads them.

    Attributes:
        content: models, methods, classes, features, artifacts, positive (number of a class, or
            null), overlays ([where, ending] per model and method, or null), total, and images:
            [id, label (-1 if unknown), numbers of features shown, and per model
            [predicted, confidence, per method a lift for each feature shown, or null, 1 if it
            had a part in the model's training]].
        listed: number of images in it.
    """

    content: dict[str, Any]
    listed: int


def said_of(aligned: AlignedRuns, image: int, positive: str | None) -> list[Said]:
    """Return what each model says of an image; `positive` as `positive_of` gives it."""
    label = str(aligned.labels.iloc[image])
    said = []
    for run, name in enumerate(aligned.names):
        row = int(aligned.rows[run, image])
        facts = aligned.runs[run].predictions.iloc[row]
        classes, value = (
            aligned.runs[run].classes,
            facts.get(f"value_{aligned.runs[run].of_output}"),
        )
        predicted = text_of(facts["predicted"]) if value is None else f"{value:.4g}"
        confidence = max((float(facts[f"prob_{c}"]) for c in classes), default=None)
        taught = bool(aligned.in_training[run, image])
        how = "" if value is not None else outcome(label, predicted, positive)
        truth = facts.get("truth")
        known = None if truth is None or np.isnan(truth) else float(truth)
        said.append(Said(name, predicted, confidence, how, taught, known))
    return said


def outcome(label: str, predicted: str, positive: str | None) -> str:
    """Say whether a prediction is right, and how it is wrong; see `Said`."""
    if not label or not predicted:
        return ""
    if label == predicted:
        return "correct"
    if positive is None:
        return "wrong"
    return "false positive" if predicted == positive else "false negative"


def positive_of(aligned: AlignedRuns) -> str | None:
    """Return the class that false positives refer to: the analysis', else the last of two."""
    classes = aligned.runs[0].classes
    if len(classes) != 2 or any(run.classes != classes for run in aligned.runs):
        return None
    said = aligned.sources[0].analysis.get("positive")
    return str(said) if said in classes else classes[-1]


def make_listing(aligned: AlignedRuns, tiles: NDArray[np.intp], page: Path) -> Listing:
    """Gather the facts of all images, those of the tiles first, as far as `MOST_BYTES` allows.

    Args:
        aligned: the runs.
        tiles: places of the images that have a thumbnail.
        page: where the page will be: links to overlays start there.
    """
    n = aligned.rows.shape[1]
    classes = list(dict.fromkeys(c for run in aligned.runs for c in run.classes))
    runs = range(len(aligned.runs))
    said = [aligned.column("predicted", run).fillna("").astype(str) for run in runs]
    classes = list(dict.fromkeys([*classes, *sorted(set(aligned.labels) - {""})]))
    code = {name: number for number, name in enumerate(classes)} | {"": -1}
    labels = aligned.labels.map(code).to_numpy(int)
    predicted = np.stack([column.map(code).to_numpy(int) for column in said])
    confident = np.stack(
        [
            run.predictions[[f"prob_{c}" for c in run.classes]].max(axis=1).to_numpy(float)[rows]
            for run, rows in zip(aligned.runs, aligned.rows, strict=True)
        ]
    )
    others = np.setdiff1d(np.arange(n), tiles)
    images: list[list[Any]] = []
    used = 0
    for place in np.concatenate([tiles, others]).tolist():
        shown = np.flatnonzero(aligned.shows[place])
        lifts = aligned.lifts[:, place][:, :, shown]
        facts = [
            aligned.ids[place],
            int(labels[place]),
            shown.tolist(),
            [
                [
                    int(predicted[run, place]),
                    _number(confident[run, place]),
                    [_numbers(values) for values in lifts[run]],
                    int(aligned.in_training[run, place]),
                ]
                for run in range(len(aligned.runs))
            ],
        ]
        used += len(json.dumps(facts, separators=(",", ":"))) + 1
        if used > MOST_BYTES and len(images) >= len(tiles):
            break
        images.append(facts)
    positive = positive_of(aligned)
    content = {
        "models": aligned.names,
        "methods": aligned.methods,
        "classes": classes,
        "features": aligned.features,
        "artifacts": [aligned.features.index(name) for name in aligned.artifacts],
        "positive": None if positive is None else code[positive],
        "overlays": [
            [_overlays(run, m, [i[0] for i in images], page) for m in aligned.methods]
            for run in aligned.runs
        ],
        "total": n,
        "images": images,
    }
    return Listing(content, len(images))


def _number(confidence: float) -> float | None:
    return None if np.isnan(confidence) else round(float(confidence), 4)


def _numbers(values: NDArray[np.float32]) -> list[float | None] | None:
    """Round lifts; None for all of them where none is known."""
    known = np.isfinite(values)
    if not known.any():
        return None
    return [round(float(v), 2) if k else None for v, k in zip(values, known, strict=True)]


def _overlays(run: RunFolder, method: str, ids: list[str], page: Path) -> list[str] | None:
    """Say where the overlays of these images are, seen from the page; None if any is absent."""
    folder = run.path / "overlays" / run.stored(method)
    if not folder.is_dir():
        return None
    there = set(os.listdir(folder))
    for ending in (".png", ".jpg"):
        if ids and all(f"{name}{ending}" in there for name in ids):
            way = os.path.relpath(folder.resolve(), page.resolve().parent)
            return [quote(Path(way).as_posix()) + "/", ending]
    return None
