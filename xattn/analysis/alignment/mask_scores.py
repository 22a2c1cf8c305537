"""Every map of a run against every mask of its image: one row per method, feature and image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.alignment.read_maps import Maps
from xattn.analysis.alignment.scores import (
    Parts,
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
        lesion: (k, 4) mass and area of the mask within the lesion, mass and area of the lesion;
            NaN where no lesion is annotated, or the feature is the lesion.
    """

    rows: NDArray[np.intp]
    scores: Array
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
        cells: where the cells of its maps lie in the view.
        positive: (n, c) maps as fractions (`scores.positive_fraction`), at most 28 x 28 parts of
            each (`scores.Parts`); (1, c) for the control.
        features: only those that at least one image shows.
    """

    name: str
    cells: Cells
    positive: Array
    features: dict[str, MaskScores]

    @property
    def in_view(self) -> float:
        """How many of its cells the view is worth (`Cells.in_view`)."""
        return self.cells.in_view

    def positive_of(self, rows: NDArray[np.intp]) -> Array:
        """Return the maps of some rows of the predictions, (len(rows), c).

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
    maps: Mapping[str, Maps],
    cells: Mapping[str, Cells],
    features: FeatureSet,
    progress: Progress | None = None,
) -> list[ScoredMethod]:
    """Score all maps against all masks, and the centre prior as well.

    Args:
        maps: method -> (n, h, w) at the method's own resolution, row i = row i of the features;
            read a few images at a time.
        cells: method -> where its cells lie in the view.
        features: a feature whose masks are all empty is left out.
        progress: called after every chunk of images.

    Returns:
        One entry per method, in the order given, the control last.
    """
    if not features.masked:
        return []
    height, width = features.masks(features.masked[0]).shape[1:]
    methods: dict[str, Maps] = {**maps, CENTRE_PRIOR: centre_prior()}
    places = {**cells, CENTRE_PRIOR: Cells.spread((_PRIOR_GRID, _PRIOR_GRID), (height, width))}
    parts = {name: Parts.of(places[name].grid) for name in methods}
    positive: dict[str, list[Array]] = {name: [] for name in methods}
    pieces: dict[str, dict[str, list[MaskScores]]] = {name: {} for name in methods}
    n = len(features.table)
    for rows, masks in _chunks(features, n, height * width):
        for name, maps_of in methods.items():
            once = name == CENTRE_PRIOR
            values = maps_of[slice(None) if once else rows]
            fraction = positive_fraction(values, places[name])
            if not (once and positive[name]):
                positive[name].append(parts[name].sums(fraction))
            scores = _score(values, places[name], fraction, masks)
            for feature, piece in scores.items():
                pieces[name].setdefault(feature, []).append(_shifted(piece, rows.start))
        if progress is not None:
            progress(rows.stop, n)
    return [
        ScoredMethod(
            name,
            places[name],
            np.concatenate(positive[name]) if n else np.zeros((0, parts[name].count)),
            {f: _joined(pieces[name][f]) for f in features.masked if f in pieces[name]},
        )
        for name in methods
    ]


def masks_on_parts(
    features: FeatureSet, feature: str, rows: NDArray[np.intp], cells: Cells
) -> Array:
    """Bring the masks of one feature to the parts of maps that `ScoredMethod.positive` has.

    Args:
        features: of the run.
        feature: its name.
        rows: (k,) of the predictions, ascending.
        cells: of the maps.

    Returns:
        (k, c): the dot product with a row of `positive` is the mass of that map in the mask, to
        what the parts of more than 28 x 28 cells have in common.
    """
    stored, parts = features.masks(feature), Parts.of(cells.grid)
    size = max(1, _CHUNK_PIXELS // int(np.prod(stored.shape[1:])))
    found = [np.zeros((0, parts.count))]
    for start in range(0, stored.shape[0], size):
        mine = rows[(rows >= start) & (rows < start + size)]
        if len(mine):
            masks = stored[start : start + size][mine - start]
            found.append(parts.means(on_grid(masks, cells)))
    return np.concatenate(found)


def per_image_tables(scored: list[ScoredMethod], features: FeatureSet) -> Iterator[pd.DataFrame]:
    """Yield one row per method, feature and image: the points behind the means of alignment.

    Args:
        scored: as of `score_masks`.
        features: of the run.

    Yields:
        A table for each method and feature; one without rows if there is none.
    """
    images = features.table[["image_id", "label"]]
    columns = ["method", "feature", *images, *SCORES, "lift"]
    shown = [(method.name, *each) for method in scored for each in method.features.items()]
    for method, feature, one in shown:
        frame = images.iloc[one.rows].reset_index(drop=True)
        frame.insert(0, "method", method)
        frame.insert(1, "feature", feature)
        frame[list(SCORES)] = one.scores
        frame["lift"] = frame["mass"] / frame["area"]
        yield frame
    if not shown:
        yield pd.DataFrame(columns=columns)


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
        result[name] = MaskScores(shown, scores, lesion)
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
    return MaskScores(piece.rows + start, piece.scores, piece.lesion)


def _joined(pieces: list[MaskScores]) -> MaskScores:
    return MaskScores(
        *(np.concatenate([getattr(p, f.name) for p in pieces]) for f in fields(MaskScores))
    )
