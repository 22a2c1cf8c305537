"""What a network uses, measured: its score on the same scenes with and without each thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from xattn.analysis.interventions.table import score_spread
from xattn.analysis.known.scenes import read_scenes
from xattn.analysis.known.world import IN_NO_PIXEL, contrasts
from xattn.analysis.positive import Positive
from xattn.errors import UsageError
from xattn.features.feature_set import FeatureSet
from xattn.models.interface import Model
from xattn.runs import RunFolder

_BATCH = 64

Images = Iterable[NDArray[np.uint8]]
Read = Callable[[str, str], Images]
"""From a thing and a way to change it to the scenes, in the same order for each."""


def effects_in_run(run: RunFolder, model: Model, scenes: Path) -> pd.DataFrame:
    """Measure the true effects of everything that a world's scenes differ in; see `true_effects`.

    The unit is the standard deviation of the run's score within labels, as of its interventions.

    Args:
        run: with features, for its labels.
        model: that made the run.
        scenes: archive of `draw_scenes`.

    Returns:
        The rows of true_effects.csv.
    """
    positive = _last_of(model.classes)
    unit = score_spread(run, FeatureSet.open(run), positive)
    ways = contrasts()
    table = true_effects(model, lambda name, way: read_scenes(scenes, name, way), ways, unit)
    return pd.concat([table, pd.DataFrame(map(_in_no_pixel, IN_NO_PIXEL))], ignore_index=True)


def true_effects(
    model: Model, scenes: Read, ways: Mapping[str, tuple[str, ...]], unit: float
) -> pd.DataFrame:
    """Return the mean change of a network's score by each thing, with nothing else changed.

    Args:
        model: of two classes; its score is the log odds of the last.
        scenes: reads them.
        ways: thing -> the two ways that are compared, second minus first.
        unit: of the changes, in log odds; above 0.

    Returns:
        A row a thing: feature, scenes, effect, error (standard error of that mean over scenes) and
        size (root mean square of the changes), the last three in units of `unit`.

    Raises:
        UsageError: there is no unit, since the network gives all images one score.
    """
    if not unit > 0:
        raise UsageError(f"Expected scores that differ within labels, but got a spread of {unit}")
    rows: list[dict[str, Any]] = []
    for name, (less, more) in ways.items():
        change = (_scores(model, scenes(name, more)) - _scores(model, scenes(name, less))) / unit
        n = len(change)
        error = float(change.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
        rows.append({
            "feature": name, "scenes": n, "effect": float(change.mean()), "error": error,
            "size": float(np.sqrt((change**2).mean())),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _in_no_pixel(name: str) -> dict[str, Any]:
    """Return the row of what no image shows, and no network of images can use."""
    return {"feature": name, "scenes": 0, "effect": 0.0, "error": 0.0, "size": 0.0}


def _last_of(classes: list[str]) -> Positive:
    if len(classes) != 2:
        raise UsageError(f"Expected a network of two classes, but got {len(classes)}")
    return Positive(tuple(classes), (classes[-1],))


def _scores(model: Model, images: Images) -> NDArray[np.float64]:
    """Return the log odds of the last class (n,)."""
    positive, coming, parts = _last_of(model.classes), iter(images), []
    while some := list(islice(coming, _BATCH)):
        batch = torch.stack([model.preprocess(image) for image in some])
        with torch.inference_mode():
            parts.append(model.logits(batch).double().cpu().numpy())
    return positive.log_odds(np.concatenate(parts))
