"""On a model that had to learn one planted feature, maps fall on it more than any control does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.attribution.planted import generate, save, trained
from xattn.analysis.alignment.scores import RankedMaps
from xattn.analysis.faithfulness.controls import edge_maps, random_maps
from xattn.attribution.run.pipeline import explain
from xattn.images.cells import upsample

GRID = (12, 12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_gradcam_falls_on_the_planted_feature_more_than_every_control(seed, tmp_path):
    model, test = trained(), generate(120, seed)
    with torch.no_grad():
        inputs = model.normalise(torch.from_numpy(test.images))
        assert (model.logits(inputs).argmax(1).numpy() == test.label).mean() > 0.95
    files = save(test, tmp_path / "images")
    run = explain(
        model, files, methods=["gradcam"], target="malignant", out=tmp_path / "run",
        overlay="none",
    )  # fmt: skip
    shown = np.flatnonzero(test.label == 1)

    def auc(maps: np.ndarray) -> np.ndarray:
        large = upsample(maps[shown], run.cells("gradcam"))
        return RankedMaps.of(large).against(test.mask[shown]).auc

    place = (np.arange(GRID[0]) - 5.5) ** 2
    centre = np.exp(-(place[:, None] + place) / 18)
    found = auc(run.maps("gradcam"))
    controls = {
        "random": random_maps([str(i) for i in range(120)], GRID, seed).numpy(),
        "edges": edge_maps(inputs, run.cells("gradcam")).numpy(),
        "centre": np.broadcast_to(centre, (120, *GRID)),
        "other images": np.roll(run.maps("gradcam"), 7, axis=0),
    }
    for name, maps in controls.items():
        ahead = found - auc(maps)
        error = ahead.std(ddof=1) / len(ahead) ** 0.5
        assert ahead.mean() > 4 * error, f"{name}: {ahead.mean():.3f} +- {error:.3f}"
    assert found.mean() > 0.9
