"""Several runs of the same images, image by image; one run is the simplest case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.errors import UsageError
from xattn.features.feature_set import LESION
from xattn.figures.folders import run_names
from xattn.figures.run_sources import RunSources
from xattn.figures.style import WHITE_DASHED, Stroke, strokes
from xattn.runs import RunFolder
from xattn.runs.again import record_again
from xattn.runs.parquet import read_parquet
from xattn.splits.samples import IN_TRAINING


@dataclass(frozen=True)
class AlignedRuns:
    """The images that all runs hold, in the order of the first run.

    Attributes:
        sources: of each run.
        names: what each run is called, no two alike.
        rows: (runs, n) row of each image in the predictions of each run.
        left_out: number of images that only some of the runs hold.
    """

    sources: list[RunSources]
    names: list[str]
    rows: NDArray[np.intp]
    left_out: int

    @classmethod
    def of(cls, runs: Sequence[RunFolder]) -> AlignedRuns:
        """Join runs by image_id.

        Raises:
            UsageError: there are no runs, one is named twice, or no image is in all of them.
        """
        if not runs:
            raise UsageError("Expected at least one run folder, but got none")
        names = run_names(runs)
        ids = [pd.Index(run.predictions["image_id"].astype(str)) for run in runs]
        rows = _joined(ids) if len(runs) > 1 else np.arange(len(ids[0]))[None]
        if not rows.shape[1] and all(map(len, ids)):
            raise UsageError(
                f"Expected runs of the same images, but {runs[0].path} holds {ids[0][0]!r} and "
                f"the like, and no image is in all of {len(runs)} runs"
                "; write one page for each of them"
            )
        every = len(ids[0].append(ids[1:]).unique())
        return cls([RunSources(r) for r in runs], names, rows, every - rows.shape[1])

    @property
    def runs(self) -> list[RunFolder]:
        """The runs, in the order given."""
        return [e.run for e in self.sources]

    @cached_property
    def methods(self) -> list[str]:
        """Names of all methods that any of the runs holds maps of."""
        return list(dict.fromkeys(m for run in self.runs for m in run.methods))

    @cached_property
    def ids(self) -> list[str]:
        """The image_id of each image."""
        return self.column("image_id").astype(str).tolist()

    @cached_property
    def labels(self) -> pd.Series[Any]:
        """Label of each image, "" where no run knows it."""
        found = pd.Series("", index=range(self.rows.shape[1]), dtype=object)
        for sources, rows in zip(self.sources, self.rows, strict=True):
            said = sources.labels.iloc[rows].reset_index(drop=True)
            found = found.where(found != "", said)
        return found

    def column(self, name: str, run: int = 0) -> pd.Series[Any]:
        """Return a column of one run's predictions for the n images."""
        values: pd.Series[Any] = self.runs[run].predictions[name]
        picked: pd.Series[Any] = values.iloc[self.rows[run]].reset_index(drop=True)
        return picked

    @cached_property
    def outlined(self) -> dict[str, Stroke]:
        """Each feature with masks in some run -> how its outline is drawn."""
        names = list(dict.fromkeys(m for e in self.sources for m in e.masked))
        drawn = {**strokes([n for n in names if n != LESION]), LESION: WHITE_DASHED}
        names = [n for n in names if n != LESION] + [n for n in names if n == LESION]
        return {name: drawn[name] for name in names}

    @cached_property
    def features(self) -> list[str]:
        """Features an image may show: those with masks first, then those known by a value alone."""
        flagged = (name for e in self.sources for name in _flags(e))
        return list(dict.fromkeys([*self.outlined, *flagged]))

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Kind of each of the `features`."""
        known: dict[str, str] = {}
        for sources in reversed(self.sources):
            known |= sources.kinds
        return {name: known.get(name, "") for name in self.features}

    @property
    def artifacts(self) -> list[str]:
        """The `features` that are artifacts and have masks."""
        return [n for n in self.outlined if self.kinds[n] == "artifact"]

    @cached_property
    def shows(self) -> NDArray[np.bool_]:
        """Whether an image shows a feature, by mask or value, in any run: (n, features)."""
        shown = np.zeros((self.rows.shape[1], len(self.features)), bool)
        for sources, rows in zip(self.sources, self.rows, strict=True):
            if sources.features is None:
                continue
            table = sources.features.table
            for place, name in enumerate(self.features):
                if f"{name}.area" in table:
                    shown[:, place] |= table[f"{name}.area"].to_numpy(float)[rows] > 0
                if name in table and _is_flag(table[name]):
                    shown[:, place] |= table[name].to_numpy(float)[rows] == 1
        return shown

    @cached_property
    def in_training(self) -> NDArray[np.bool_]:
        """Whether a run's model is known to be fitted to an image, or selected on it: (runs, n)."""
        known = np.zeros(self.rows.shape, bool)
        for run, table in enumerate(r.predictions for r in self.runs):
            if "split" in table:
                known[run] = self.column("split", run).isin(IN_TRAINING)
        return known

    @cached_property
    def lifts(self) -> NDArray[np.float32]:
        """Lift of each map on each feature, from mask_scores.parquet: (runs, n, methods, features).

        NaN where the image has no such mask, the run no such map, or the map a defect.
        """
        shape = (len(self.runs), self.rows.shape[1], len(self.methods), len(self.features))
        lifts = np.full(shape, np.nan, np.float32)
        for values, run in zip(lifts, self.runs, strict=True):
            path = run.path / "mask_scores.parquet"
            if not path.is_file():
                continue
            columns = ["method", "feature", "image_id", "lift"]
            again = f"repeat {record_again(run.path, 'analysis.json')}"
            table = read_parquet(path, again, columns)
            places = [
                pd.Index(names).get_indexer(pd.Index(table[column].astype(str)))
                for names, column in (
                    (self.ids, "image_id"),
                    ([run.stored(method) for method in self.methods], "method"),
                    (self.features, "feature"),
                )
            ]
            known = np.all([p >= 0 for p in places], axis=0)
            values[tuple(p[known] for p in places)] = table["lift"].to_numpy(np.float32)[known]
        return lifts


def _joined(ids: list[pd.Index[Any]]) -> NDArray[np.intp]:
    """Return the rows of the images that are in every list, (lists, n)."""
    first = ids[0]
    found = np.stack([np.asarray(other.get_indexer(first), np.intp) for other in ids])
    return np.ascontiguousarray(found[:, (found >= 0).all(axis=0)])


def _flags(sources: RunSources) -> list[str]:
    """Name structures and artifacts that are known by a value of 0 or 1."""
    if sources.features is None:
        return []
    table = sources.features.table
    return [
        name
        for name, kind in sources.features.kinds.items()
        if kind in ("structure", "artifact") and name in table and _is_flag(table[name])
    ]


def _is_flag(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and bool(values.dropna().isin([0, 1]).all())
