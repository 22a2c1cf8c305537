"""What `--precision bf16` and `16` change in predictions, maps and usage; docs/precision.csv.

`python -m tests.benchmarks.precision --ckpt MODEL --annotations FILE` explains the same images in
each precision and holds all against float32. Times are of passes that take turns, in one process
of one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before what counts threads is loaded

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

import xattn
from tests.benchmarks.harness import interleave
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.engines.choose import Wanted
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.passes.fold_norms import probe_batch
from xattn.models.interface import Model
from xattn.runs import RunFolder
from xattn.splits.membership import membership

CSV = Path(__file__).parents[2] / "docs" / "precision.csv"
WAYS = (
    ("32", "torch"),
    ("32", "openvino"),
    ("bf16", "torch"),
    ("bf16", "openvino"),
    ("16", "torch"),
)
METHODS = ("gradcam", "gradcam++", "layercam", "eigencam", "attention", "saliency")
FLAGS = ("avx2", "avx512_f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")
TOP = 0.1
"""Fraction of a map's cells that count as its top."""
BATCH, ROUNDS = 16, 5

Row = dict[str, object]


def rank_correlation(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return Spearman's correlation of each pair of maps (n, h, w); NaN where one is flat."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (ours, theirs)]
    a, b = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return result


def top_overlap(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the intersection over union of the top cells of each pair of maps (n, h, w)."""
    cells = ours[0].size
    k = max(1, round(TOP * cells))
    tops = [
        np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")[:, :k]
        for maps in (ours, theirs)
    ]
    common = np.array([len(np.intersect1d(a, b)) for a, b in zip(*tops, strict=True)])
    result: NDArray[np.float64] = common / (2 * k - common)
    return result


def of_maps(ours: RunFolder, theirs: RunFolder) -> Iterator[Row]:
    """Yield how well the maps of two runs agree, by method."""
    for method in theirs.methods:
        a, b = ours.maps(method), theirs.maps(method)
        drawn = (np.ptp(a.reshape(len(a), -1), axis=1) > 0) & (
            np.ptp(b.reshape(len(b), -1), axis=1) > 0
        )
        for measure, function in (("rank correlation", rank_correlation), ("top", top_overlap)):
            values = function(a[drawn], b[drawn])
            yield row("maps", method, f"{measure}, mean", values.mean())
            yield row("maps", method, f"{measure}, 5 % quantile", np.quantile(values, 0.05))
        yield row("maps", method, "images", int(drawn.sum()))
        yield row("maps", method, "flat in one run alone", int((~drawn).sum() - _flat(a, b)))


def _flat(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    both = np.ptp(a.reshape(len(a), -1), axis=1) + np.ptp(b.reshape(len(b), -1), axis=1)
    return int((both == 0).sum())


def of_predictions(ours: RunFolder, theirs: RunFolder) -> Iterator[Row]:
    """Yield by how much predictions differ."""
    a, b = ours.predictions, theirs.predictions
    columns = [f"prob_{name}" for name in theirs.classes]
    apart = (a[columns] - b[columns]).abs().to_numpy().max(axis=1)
    yield row("predictions", "", "images", len(b))
    yield row(
        "predictions", "", "classes that change", int((a["predicted"] != b["predicted"]).sum())
    )
    yield row("predictions", "", "probability, median change", float(np.median(apart)))
    yield row("predictions", "", "probability, largest change", float(apart.max()))


def of_usage(ours: RunFolder, theirs: RunFolder) -> Iterator[Row]:
    """Yield by how much what is measured of features differs."""
    key = ["feature", "test"]
    both = ours.table("feature_usage").merge(theirs.table("feature_usage"), on=key)
    known = both["p_value_x"].notna() & both["p_value_y"].notna()
    both = both[known]
    yield row("usage", "", "tests", len(both))
    for column, name in (
        ("rank_effect", "rank effect"), ("effect_bits", "effect in bits"),
        ("effect_given", "partial correlation given the others"),
    ):  # fmt: skip
        apart = (both[f"{column}_x"] - both[f"{column}_y"]).abs()
        yield row("usage", "", f"{name}, largest change", float(apart.max()))
    for column, name in (("p_value", "p-values"), ("p_adjusted", "adjusted p-values")):
        crossed = (both[f"{column}_x"] <= 0.05) != (both[f"{column}_y"] <= 0.05)
        yield row("usage", "", f"{name} that cross 0.05", int(crossed.sum()))
    said = ours.table("verdicts").merge(theirs.table("verdicts"), on="feature")
    yield row("usage", "", "verdicts", len(said))
    yield row(
        "usage", "", "verdicts that change", int((said["verdict_x"] != said["verdict_y"]).sum())
    )
    lifts = ours.table("alignment").merge(
        theirs.table("alignment"), on=["method", "feature", "label"]
    )
    apart = (lifts["lift_x"] - lifts["lift_y"]).abs() / lifts["lift_y"]
    yield row("usage", "", "lift of maps over masks, largest relative change", float(apart.max()))


def row(part: str, name: str, measure: str, value: float) -> Row:
    """Return a row of precision.csv, without what was measured."""
    return {"part": part, "name": name, "measure": measure, "value": value}


def speed(model: Model) -> Iterator[Row]:
    """Yield the time of one pass with Grad-CAM, in each way, as a ratio to the first.

    Of the processor, not of the clock on the wall, so that other work beside it counts less.
    """
    batch = probe_batch(model, BATCH)
    copies = {
        way: make_fast_copy(model, wanted=Wanted(way[1], batch=BATCH, precision=way[0]))
        for way in WAYS
    }
    first = " ".join(WAYS[0])
    runs = {" ".join(way): lambda made=made: capture(made, batch) for way, made in copies.items()}
    ratios = interleave(first, runs, ROUNDS, clock=time.process_time)
    for way, ratio in zip(WAYS, ratios, strict=True):
        found = {"precision": way[0], "engine": way[1]}
        yield found | row("speed", copies[way].precision, "seconds, of 32", ratio.median)
        yield found | row("speed", copies[way].precision, "low", ratio.low)
        yield found | row("speed", copies[way].precision, "high", ratio.high)


def measured(args: argparse.Namespace, folder: Path) -> list[Row]:
    """Explain and measure in each precision.

    Args:
        args: of the command line.
        folder: to work in.
    """
    torch.set_num_threads(1)
    model = xattn.load(args.ckpt)
    known = xattn.read_annotations(args.annotations)
    splits = membership(model.source).splits
    held_out = [one for one in known.images if splits.get(one.id) in ("test", "ood")]
    drawn = np.random.default_rng(0).permutation(len(held_out))[: args.images]
    images = [known.path.parent / held_out[i].file for i in np.sort(drawn)]
    methods = [name for name in METHODS if name != "attention" or model.attention_layers]
    found: list[Row] = [
        {"precision": "", "engine": "", **row("machine", name, "has it", int(has))}
        for name, has in _processor().items()
    ]
    found.append(
        {"precision": "", "engine": "", **row("network", model.architecture, "images", len(images))}
    )
    runs: dict[tuple[str, str], RunFolder] = {}
    for precision, engine in WAYS:
        run = xattn.explain(
            model, images, annotations=known, methods=methods, overlay="none",
            out=folder / f"{precision}-{engine}", precision=precision, accelerate=engine,
            on_note=lambda note: sys.stdout.write(f"{note}\n"),
        )  # fmt: skip
        xattn.feature_usage(
            run, known, model=model, interventions=args.interventions, concepts=False,
            accelerate=engine,
        )  # fmt: skip
        runs[precision, engine] = RunFolder.open(run.path)
        ran = run.settings.get("computed_in", {}).get("predictions", precision)
        if (ran, run.settings["engine"]) != (precision, engine):
            sys.stdout.write(f"left out: {precision} in {engine} ran as {run.settings}\n")
            continue
        for measure in (of_predictions, of_maps, of_usage):
            for one in measure(runs[precision, engine], runs[WAYS[0]]):
                found.append({"precision": precision, "engine": engine, **one})
    return [*found, *speed(model)]


def _processor() -> dict[str, bool]:
    has = torch.cpu.get_capabilities()
    return {name: bool(has.get(name)) for name in FLAGS}


def main() -> int:
    """Measure, print, and write docs/precision.csv."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.precision")
    parser.add_argument("--ckpt", type=Path, required=True, help="of xattn train, with splits.csv")
    parser.add_argument("--annotations", type=Path, required=True, help="with masks")
    parser.add_argument("--images", type=int, default=400, help="of test and ood, at random")
    parser.add_argument("--interventions", type=int, default=0, help="edits of a feature")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = pd.DataFrame(measured(args, Path(folder)))
    sys.stdout.write(table.to_string(index=False) + "\n")
    table.to_csv(CSV, index=False, float_format="%.5g")
    return 0


if __name__ == "__main__":
    sys.exit(main())
