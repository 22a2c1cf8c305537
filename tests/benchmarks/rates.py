"""What each step costs an image, on one thread; docs/rates.csv, from which the plan is reckoned.

`python -m tests.benchmarks.rates` on a machine that does nothing else. Seconds of one machine mean
little on another; their sums and ratios are what a plan needs.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before what counts threads is loaded

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

import xattn
from tests.benchmarks.pipeline import BATCH, SIZE, photographs
from tests.benchmarks.scale import make_data
from xattn.attribution.attribute import attribute
from xattn.attribution.run.sources import Named, decode
from xattn.models import build, wrap
from xattn.runs.atomic import read_record

DOCS = Path(__file__).parents[2] / "docs"
IMAGES, ANNOTATED = 256, 2000
CLASSES = ["benign", "malignant"]


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the median of some rounds, after one that warms up."""
    work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def rates(folder: Path) -> list[dict[str, object]]:
    """Measure seconds, or bytes, an image.

    Args:
        folder: to work in.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = wrap(build("resnet18", 2).eval(), classes=CLASSES)
    files = photographs(folder, IMAGES)
    named = [Named(str(i), path, path.name) for i, path in enumerate(files)]
    decoding = seconds(lambda: [decode(one, model.preprocessing) for one in named]) / IMAGES
    x = torch.randn(BATCH, 3, SIZE, SIZE)
    passing = seconds(lambda: attribute(model, x, methods=["gradcam"]), 5) / BATCH
    found = []
    for overlay in ("none", "png"):
        out = folder / f"run-{overlay}"
        began = time.perf_counter()
        xattn.explain(
            model, files[0].parent, methods=["gradcam"], out=out, overlay=overlay, workers=1,
            accelerate="torch",
        )  # fmt: skip
        found.append((time.perf_counter() - began) / IMAGES)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / IMAGES
        found.append(size)
    plain, plain_bytes, drawn, drawn_bytes = found
    make_data(folder / "annotated", ANNOTATED)
    small = xattn.load(folder / "annotated" / "model.pt")
    known = folder / "annotated" / "annotations.json"
    whole = xattn.explain(small, annotations=known, out=folder / "usage", overlay="none")
    xattn.feature_usage(whole, known, interventions=100, workers=1)
    took = read_record(whole.path / "analysis.json")["timings"]
    read = sum(path.stat().st_size for path in files) / IMAGES
    halves = [
        xattn.explain(
            small, annotations=known, out=folder / f"part-{i}", overlay="none", shard=f"{i}/2"
        ).path
        for i in (1, 2)
    ]
    merging = seconds(lambda: xattn.merge(halves, folder / f"merged-{time.monotonic_ns()}"), 3)
    battery = sum(s for name, s in took.items() if name not in {"features", "interventions"})
    return [
        row("decode", decoding, "JPEG of 600 x 450 to 224 px and a thumbnail"),
        row("forward and map", passing, "ResNet18, Grad-CAM, 224 px, batches of 16, torch"),
        row("write", max(0.0, plain - max(decoding, passing)), "tables and maps"),
        row("overlays", max(0.0, drawn - plain), "PNG of 512 x 384"),
        row("explain", plain, "all of it without overlays, decoding beside the passes"),
        row("masks and features", took["features"] / ANNOTATED, "one mask, 96 x 72"),
        row("usage battery", battery / ANNOTATED, "all tables but the interventions"),
        row("an edit", took["interventions"] / 100, "every feature that can be edited"),
        row("merge", merging / ANNOTATED, "in one process, after the shards"),
        row("read", read, "JPEG of 600 x 450", "bytes"),
        row("stored", plain_bytes, "predictions, inputs, one map of 7 x 7", "bytes"),
        row("stored, overlays", drawn_bytes - plain_bytes, "PNG of 512 x 384", "bytes"),
    ]


def row(step: str, value: float, of: str, unit: str = "seconds") -> dict[str, object]:
    """Return a row of rates.csv."""
    return {"step": step, "unit": unit, "an image": value, "of": of}


def main() -> int:
    """Measure, print, and write docs/rates.csv."""
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame(rates(Path(folder)))
    sys.stdout.write(table.to_string(index=False) + "\n")
    table.to_csv(DOCS / "rates.csv", index=False, float_format="%.4g")
    return 0


if __name__ == "__main__":
    sys.exit(main())
