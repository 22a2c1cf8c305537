"""What the analysis left in the run folder beside its tables: settings, masks, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, RunError
from xattn.features.feature_set import LESION, FeatureSet
from xattn.figures.style import KIND_ORDER, WHITE_DASHED, Stroke, strokes
from xattn.images import read_image
from xattn.images.domains import Words, words_of
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunSources:
    """Reads what figures and report need of one run; what is absent comes back empty."""

    run: RunFolder

    @cached_property
    def analysis(self) -> dict[str, Any]:
        """Settings of the analysis (analysis.json), or {}."""
        return self._record("analysis.json", "the record of an analysis")

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Settings of the evaluation (evaluation.json), or {}."""
        return self._record("evaluation.json", "the record of an evaluation")

    @cached_property
    def faithfulness(self) -> dict[str, Any]:
        """Settings of the test of the maps (faithfulness.json), or {}."""
        return self._record("faithfulness.json", "the record of a test of maps")

    @cached_property
    def over_training(self) -> dict[str, Any]:
        """Settings of the usage over training (usage_over_training.json), or {}."""
        return self._record("usage_over_training.json", "the record of usage over training")

    def _record(self, name: str, what: str) -> dict[str, Any]:
        path = self.run.path / name
        if not path.is_file():
            return {}
        return self.run.own(read_record(path, what))

    def table(self, name: str) -> pd.DataFrame | None:
        """Read one of the run's CSV tables, or return None if it is absent or has no rows."""
        table = self.run.table(name) if self.run.has_table(name) else None
        return None if table is None or table.empty else table

    @property
    def alpha(self) -> float:
        """Level below which an adjusted p-value counts as significant."""
        return float(self.analysis.get("alpha", 0.05))

    @property
    def positive(self) -> str | None:
        """Class that scores and rates are of; None where each of several stands for itself."""
        named, classes = self.analysis.get("positive"), self.run.classes
        if len(classes) == 2:
            return str(named or classes[-1])
        # Analyses of more classes once named the last one, which no number was of.
        return str(named) if named and self.analysis.get("against") else None

    @property
    def not_learned(self) -> str:
        """Note of the analysis that the model is not shown to tell the label; "" for none."""
        return str((self.analysis.get("label_auc") or {}).get("note", ""))

    def permutations(self, table: str) -> int | None:
        """Return the number of permutations behind the p-values of a table, if it is known."""
        drawn = self.analysis.get("permutations_drawn", {}).get(table)
        value = drawn or self.analysis.get("permutations")
        return None if value is None else int(value)

    def adjusted(self, table: str) -> str:
        """Return whose method adjusted the p-values of a table."""
        name = self.analysis.get("usage_adjusted") if table == "feature_usage" else None
        return str(name or "Holm").replace("-", " and ")

    @cached_property
    def features(self) -> FeatureSet | None:
        """Features and masks of the images, or None before the analysis."""
        try:
            return FeatureSet.open(self.run)
        except RunError:
            return None

    @cached_property
    def words(self) -> Words:
        """What sentences call what is in the images, by their domain as far as it is known."""
        return words_of(None if self.features is None else self.features.domain)

    @cached_property
    def labels(self) -> pd.Series[Any]:
        """Label of each image (n,), "" where unknown; annotations know more than predictions."""
        table = self.run.predictions if self.features is None else self.features.table
        return table["label"].astype(object).where(table["label"].notna(), "").astype(str)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Feature -> kind, controls included."""
        kinds = {} if self.features is None else self.features.kinds
        for name in ("alignment", "feature_usage"):
            table = self.table(name)
            if table is not None:
                kinds |= dict(zip(table["feature"], table["kind"], strict=True))
        return kinds

    @cached_property
    def masked(self) -> list[str]:
        """Names of the masks stored, structures before artifacts, the lesion last."""
        names = [] if self.features is None else self.features.masked
        return sorted(names, key=lambda n: (n == LESION, kind_rank(self.kinds.get(n, "")), n))

    def masks(self, rows: Sequence[int]) -> list[dict[str, NDArray[np.bool_]]]:
        """Read the masks of some images that are not empty: feature -> bool (h, w), view grid."""
        # One read per feature: a chunk of the store holds many images.
        wanted, back = np.unique(np.asarray(rows, np.intp), return_inverse=True)
        found: list[dict[str, NDArray[np.bool_]]] = [{} for _ in rows]
        if self.features is None or not len(wanted):
            return found
        for name in self.masked:
            stack = np.asarray(self.features.masks(name).take(wanted), bool)
            for place, where in enumerate(back):
                if stack[where].any():
                    found[place][name] = stack[where]
        return found

    @property
    def strokes(self) -> dict[str, Stroke]:
        """Outline of each mask, the same in every figure of the run."""
        features = [name for name in self.masked if name != LESION]
        return {**strokes(features), LESION: WHITE_DASHED}

    @cached_property
    def features_seen(self) -> NDArray[np.int64]:
        """Number of features, the lesion apart, whose mask is not empty, per image (n,)."""
        columns = [f"{name}.area" for name in self.masked if name != LESION]
        if self.features is None or not columns:
            return np.zeros(len(self.run.predictions), np.int64)
        areas = self.features.table[columns].to_numpy(float)
        return np.asarray((areas > 0).sum(1), np.int64)  # NaN, no mask known, is not seen

    def image(self, row: int) -> NDArray[np.uint8] | None:
        """Read one image as the model saw it: uint8 (h, w, 3), or None if it cannot be read."""
        try:
            seen = self.run.preprocessing
            found = read_image(self.run.image_path(row), window=seen.window, channels=seen.channels)
        except ImageError:
            return None
        return np.asarray(seen.pixels(found.image), dtype=np.uint8)


def kind_rank(kind: str) -> int:
    """Return where a kind stands in every listing; unknown kinds come last."""
    return KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER)


def by_kind(features: Sequence[str], kinds: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Gather features by kind, kinds in their usual order, features in the order given."""
    present = sorted({kinds.get(f, "") for f in features}, key=lambda k: (kind_rank(k), k))
    return [(kind, [f for f in features if kinds.get(f, "") == kind]) for kind in present]
