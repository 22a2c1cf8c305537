import json
import resource
import time

import numpy as np
import pandas as pd
import pytest
import zarr
from PIL import Image

from tests.fabricate import fabricate_run
from tests.figures.made_tables import usage_table
from tests.figures.populated import populated_run
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.page.report import report
from xattn.figures.page.sections import make_sections
from xattn.images import Preprocessing
from xattn.runs import RunFolder

pytestmark = pytest.mark.slow

N = 100_000
MOST_BYTES = 15_000_000


def large_run(root, n=N, side=32, methods=("gradcam", "attention")):
    """Write a run of n images whose maps and masks are fill values but for the first chunk."""
    run = root / "run"
    run.mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(root / "one.png")
    ids = [f"ISIC_{i:07d}" for i in range(n)]
    label = np.where(rng.random(n) < 0.8, "benign", "malignant")
    logit = rng.normal(size=n)
    prob = 1 / (1 + np.exp(-logit))
    predictions = pd.DataFrame({
        "image_id": ids, "file": "one.png", "width": 64, "height": 48, "label": label,
        "predicted": np.where(logit > 0, "malignant", "benign"), "logit_benign": -logit / 2,
        "logit_malignant": logit / 2, "prob_benign": 1 - prob, "prob_malignant": prob,
    })  # fmt: skip
    predictions.to_parquet(run / "predictions.parquet", index=False)
    settings = {
        "schema": "xattn-run/1", "architecture": "none", "checkpoint": "model.pt",
        "classes": ["benign", "malignant"], "methods": list(methods), "base": "..",
        "preprocessing": Preprocessing(size=(side, side)).to_dict(),
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(settings))
    maps = zarr.create_group(run / "maps.zarr")
    for method in methods:
        array = maps.create_array(method, shape=(n, 7, 7), dtype="float32", chunks=(512, 7, 7))
        array[:512] = rng.random((512, 7, 7))
    masks = zarr.create_group(run / "masks.zarr")
    table = predictions[["image_id", "label"]].assign(group=None)
    for name in ("ruler", "patches", "pigment_network"):
        shape = (n, side, side)
        array = masks.create_array(
            name, shape=shape, dtype="bool", chunks=(512, *shape[1:]), fill_value=True
        )
        table[name], table[f"{name}.area"], table[f"{name}.masked"] = 1.0, 1.0, True
    table.to_parquet(run / "features.parquet", index=False)
    kinds = {"ruler": "artifact", "patches": "artifact", "pigment_network": "structure"}
    facts = {"kinds": kinds, "masked": list(kinds), "annotated": n}
    (run / "features.json").write_text(json.dumps(facts))
    every = [(m, f) for m in methods for f in kinds]
    scores = pd.DataFrame({
        "method": np.repeat([m for m, _ in every], n),
        "feature": np.repeat([f for _, f in every], n),
        "image_id": ids * len(every), "lift": rng.gamma(2, 0.5, n * len(every)),
    })  # fmt: skip
    scores.to_parquet(run / "mask_scores.parquet", index=False)
    folder = RunFolder.open(run)
    rows = usage_table({"x": "computed"}, rng).iloc[np.zeros(n, int)]
    rows["feature"] = [f"feature {i}" for i in range(n)]
    folder.write_table("feature_usage", rows)
    errors = pd.DataFrame({"file": [f"{i}.jpg" for i in range(n)]})
    folder.write_table("errors", errors.assign(stage="decode", error="Expected an image" * 10))
    return folder


def test_a_hundred_thousand_images_and_rows_fit_and_what_is_left_out_is_said(tmp_path):
    run = large_run(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    path = report(run)
    took = time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < MOST_BYTES
    assert text.count("<article") == 96
    assert "96 of 100,000 images" in text
    assert "of 100,000 images; the rest would make this file too large" in text
    assert "100,000 rows, the 400 of least adjusted p shown" in text
    assert "The first 200 of 100,000" in text
    assert took < 120  # seconds of one core; a third of that where it was written
    assert grown < 1_500_000  # kB


def test_tables_that_would_make_the_page_too_large_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr("xattn.figures.page.sections.MOST_BYTES", 50_000)
    runs = [populated_run(tmp_path / name, n=3) for name in "ab"]
    sections = make_sections(AlignedRuns.of(runs))
    panels = [panel for section in sections for panel in section.panels]
    assert sum(panel.size for panel in panels) <= 50_000
    left_out = [panel for panel in panels if "grow too large" in panel.missing]
    assert left_out
    assert all(panel.plot is None and panel.sheet is None for panel in left_out)
    assert "see alignment.csv of b/run" in " ".join(panel.missing for panel in panels)


def test_thumbnails_that_hardly_compress_stop_before_the_limit(tmp_path):
    n, size = 180, (288, 288)  # noise: no thumbnail compresses worse
    rng = np.random.default_rng(0)
    maps = {"saliency": rng.normal(size=(n, *size)).astype(np.float32)}
    run = fabricate_run(tmp_path, rng.normal(size=(n, 2)), maps, image_size=size, input_size=size)
    path = report(run, gallery=n)
    text = path.read_text(encoding="utf-8")
    assert 8_000_000 < path.stat().st_size < MOST_BYTES
    assert text.count("<article") < n
    assert "More would make this file too large" in text
