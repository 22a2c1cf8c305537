"""A run folder with every kind of file that is read again, each with its checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.figures.populated import FEATURES, explained_run, write_tables
from xattn.runs.arrays import create_array
from xattn.runs.atomic import write_json
from xattn.runs.inputs import Stamp, write_stamps
from xattn.runs.parquet import write_parquet
from xattn.runs.record import begin_record, end_record, file_sha256, predictions_sha256

METHODS = ("gradcam", "attention")


def write_whole(root: Path) -> Path:
    """Write `root/run`, with every kind of file that is read again, as its writer writes it."""
    rng = np.random.default_rng(0)
    run = explained_run(root, 24, METHODS)
    masks = {name: rng.random((24, 32, 32)) < 0.1 for name in ("ruler", "streaks")}
    table = run.predictions[["image_id", "label"]]
    for name, stack in masks.items():
        path = run.path / "masks.zarr" / name
        create_array(path, stack.shape, (10, 32, 32), "bool")[:] = stack
        table = table.assign(**{name: stack.any((1, 2)), f"{name}.area": stack.mean((1, 2))})
    write_parquet(table, run.path / "features.parquet")
    kinds = {name: FEATURES[name] for name in masks}
    facts = {"kinds": kinds, "masked": list(masks), "annotated": 24, "domain": "dermoscopy"}
    write_json(run.path / "features.json", facts)
    files = list(run.predictions["file"])
    write_stamps(run.path / "inputs.parquet", {f: Stamp.of(root / f) for f in files})
    begin_record(run.path / "analysis.json")
    write_tables(run, kinds, METHODS, rng)
    (root / "annotations.json").write_text("{}")
    known = {
        "alpha": 0.05,
        "annotations": "annotations.json",
        "annotations_sha256": file_sha256(root / "annotations.json"),
        "predictions_sha256": predictions_sha256(run.predictions),
    }
    tables = [f"{name}.csv" for name in ("alignment", "feature_usage", "bias")]
    end_record(run.path / "analysis.json", known, tables)
    return run.path
