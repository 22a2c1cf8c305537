"""Every map of a run against every mask of its image: one row per method, feature and image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.alignment.scores import (
    RankedMaps,
    degenerate,
    on_grid,
    positive_fraction,
)
from xattn.features.feature_set import LESION, FeatureSet
from xattn.features.masks import Progress
from xattn.images import Cells
from xattn.images.cells import upsample

CENTRE_PRIOR = "centre-prior"
"""Name of the control method: one centred Gaussian for every image, blind to its content."""

SCORES = ("mass", "area", "pointing", "auc", "rank_accuracy", "topk")

_PRIOR_GRID, _PRIOR_WIDTH = 14, 0.25
_CHUNK_PIXELS = 2**21

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MaskScores:
    """Scores of one method against the masks of one feature, for the k images that show it.

    Attributes:
        rows: (k,) row in the predictions of each image.
        scores: (k, 6) in the order of `SCORES`; all but the area NaN for a degenerate map.
        grid: (k, h * w) the masks on the map's cells (`scores.on_grid`).
        lesion: (k, 4) mass and area of the mask within the lesion, mass and area of the lesion;
            NaN where no lesion is annotated, or the feature is the lesion.
    """

    rows: NDArray[np.intp]
    scores: Array
    grid: Array
    lesion: Array

    def score(self, name: str) -> Array:
        """Return one of the scores, (k,).

        Args:
            name: one of `SCORES`.
        """
        return self.scores[:, SCORES.index(name)]

    @property
    def degenerate(self) -> NDArray[np.bool_]:
        """Which of the k images have a map that cannot be scored."""
        return np.isnan(self.score("mass"))


@dataclass(frozen=True)
class ScoredMethod:
    """One method's maps and their scores, by feature.

    Attributes:
        name: of the method.
        positive: (n, h * w) maps as fractions (`scores.positive_fraction`); (1, h * w) for the
            control.
        features: only those that at least one image shows.
        in_view: how many of its cells the view is worth (`Cells.in_view`).
    """

    name: str
    positive: Array
    features: dict[str, MaskScores]
    in_view: float

    def positive_of(self, rows: NDArray[np.intp]) -> Array:
        """Return the maps of some rows of the predictions, (len(rows), h * w).

        Args:
            rows: of the predictions.
        """
        if len(self.positive) == 1:
            return np.broadcast_to(self.positive, (len(rows), self.positive.shape[1]))
        return self.positive[rows]


def centre_prior() -> NDArray[np.float32]:
    """Return the control map (1, 14, 14): a Gaussian at the centre, sd a quarter of the view.

    It is spread evenly over the view, whatever layer the methods' maps are of.
    """
    offset = ((np.arange(_PRIOR_GRID) + 0.5) / _PRIOR_GRID - 0.5) / _PRIOR_WIDTH
    profile = np.exp(-0.5 * offset**2)
    return np.outer(profile, profile)[None].astype(np.float32)


def score_masks(
    maps: Mapping[str, NDArray[np.floating]],
    cells: Mapping[str, Cells],
    features: FeatureSet,
    progress: Progress | None = None,
) -> list[ScoredMethod]:
    """Score all maps against all masks, and the centre prior as well.

    Args:
        maps: method -> (n, h, w) at the method's own resolution, row i = row i of the features.
        cells: method -> where its cells lie in the view.
        features: a feature whose masks are all empty is left out.
        progress: called after every chunk of images.

    Returns:
        One entry per method, in the order given, the control last.
    """
    if not features.masked:
        return []
    height, width = features.masks(features.masked[0]).shape[1:]
    methods = {**maps, CENTRE_PRIOR: centre_prior()}
    places = {**cells, CENTRE_PRIOR: Cells.spread((_PRIOR_GRID, _PRIOR_GRID), (height, width))}
    positive = {name: positive_fraction(m, places[name]) for name, m in methods.items()}
    pieces: dict[str, dict[str, list[MaskScores]]] = {name: {} for name in methods}
    n = len(features.table)
    for rows, masks in _chunks(features, n, height * width):
        for name, values in methods.items():
            some = slice(None) if len(values) == 1 else rows
            scores = _score(values[some], places[name], positive[name][some], masks)
            for feature, piece in scores.items():
                pieces[name].setdefault(feature, []).append(_shifted(piece, rows.start))
        if progress is not None:
            progress(rows.stop, n)
    return [
        ScoredMethod(
            name,
            positive[name],
            {f: _joined(pieces[name][f]) for f in features.masked if f in pieces[name]},
            places[name].in_view,
        )
        for name in methods
    ]


def per_image_table(scored: list[ScoredMethod], features: FeatureSet) -> pd.DataFrame:
    """Return one row per method, feature and image: the points behind the means of alignment.

    Args:
        scored: as of `score_masks`.
        features: of the run.
    """
    images = features.table[["image_id", "label"]]
    frames = []
    for method in scored:
        for feature, one in method.features.items():
            frame = images.iloc[one.rows].reset_index(drop=True)
            frame.insert(0, "method", method.name)
            frame.insert(1, "feature", feature)
            frame[list(SCORES)] = one.scores
            frame["lift"] = frame["mass"] / frame["area"]
            frames.append(frame)
    columns = ["method", "feature", "image_id", "label", *SCORES, "lift"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _chunks(
    features: FeatureSet, n: int, pixels: int
) -> Iterator[tuple[slice, dict[str, NDArray[np.bool_]]]]:
    """Yield rows and their masks by feature, some images at a time."""
    size = max(1, _CHUNK_PIXELS // pixels)
    stores = {name: features.masks(name) for name in features.masked}
    for start in range(0, n, size):
        rows = slice(start, min(n, start + size))
        yield rows, {name: np.asarray(store[rows]) for name, store in stores.items()}


def _score(
    maps: NDArray[np.floating],
    cells: Cells,
    positive: Array,
    masks: Mapping[str, NDArray[np.bool_]],
) -> dict[str, MaskScores]:
    """Score b maps, or one for all, against each feature's masks (b, height, width)."""
    bad = degenerate(maps)
    usable = np.where(bad[:, None, None], 0, maps)
    ranked = RankedMaps.of(upsample(usable, cells))
    result = {}
    for name, mask in masks.items():
        shown = np.flatnonzero(mask.any(axis=(1, 2)))
        if not len(shown):
            continue
        mine = np.zeros_like(shown) if len(maps) == 1 else shown
        ranks = ranked.against(mask)
        grid = on_grid(mask[shown], cells)
        fraction = positive[mine]
        columns = [
            (fraction * grid).sum(axis=1),
            mask[shown].mean(axis=(1, 2)),
            *(getattr(ranks, score)[shown] for score in SCORES[2:]),
        ]
        scores = np.stack(columns, axis=1)
        scores[np.ix_(bad[mine], np.array(SCORES) != "area")] = np.nan
        lesion = np.full((len(shown), 4), np.nan)
        if name != LESION and LESION in masks:
            lesion = _within(fraction, mask[shown], masks[LESION][shown], cells)
        result[name] = MaskScores(shown, scores, grid, lesion)
    return result


def _within(
    fraction: Array,
    mask: NDArray[np.bool_],
    lesion: NDArray[np.bool_],
    cells: Cells,
) -> Array:
    """Return `MaskScores.lesion`."""
    both = mask & lesion
    columns = [
        (fraction * on_grid(both, cells)).sum(axis=1),
        both.mean(axis=(1, 2)),
        (fraction * on_grid(lesion, cells)).sum(axis=1),
        lesion.mean(axis=(1, 2)),
    ]
    result = np.stack(columns, axis=1)
    result[result[:, 3] == 0] = np.nan
    return result


def _shifted(piece: MaskScores, start: int) -> MaskScores:
    return MaskScores(piece.rows + start, piece.scores, piece.grid, piece.lesion)


def _joined(pieces: list[MaskScores]) -> MaskScores:
    return MaskScores(
        *(np.concatenate([getattr(p, f.name) for p in pieces]) for f in fields(MaskScores))
    )
