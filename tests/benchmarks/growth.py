"""What an image costs in a run of few and of many."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from pathlib import Path

import torch

from tests.benchmarks.harness import Ratio, Table
from tests.benchmarks.pipeline import photographs
from xattn.attribution.run.pipeline import explain
from xattn.images import Preprocessing
from xattn.models import build, wrap

SIZES = (100, 1_000, 10_000)
BASE = 1_000


def growth_table(sizes: tuple[int, ...] = SIZES) -> Table:
    """Compare the time of an image in `explain` over numbers of images, at 1,000 = 1."""
    torch.manual_seed(0)
    model = wrap(
        build("test_resnet", 2).eval(),
        classes=["benign", "malignant"],
        preprocessing=Preprocessing(size=(96, 96)),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        different = photographs(folder, 16)
        each = {}
        for n in sizes:
            place = folder / f"of-{n}"
            place.mkdir()
            for i, file in zip(range(n), itertools.cycle(different), strict=False):
                os.link(file, place / f"{i:06}.jpg")
            began = time.perf_counter()
            explain(model, place, methods=["gradcam"], out=folder / f"run-{n}", overlay="none")
            each[n] = (time.perf_counter() - began) / n
    ratios = [Ratio(f"{n:,} images", *3 * (each[n] / each[BASE],)) for n in sizes]
    return Table(
        f"What an image costs in `explain`, by their number, at {BASE:,} = 1",
        {"test_resnet": ratios},
        "A network so small, at 96 x 96, that what is not the network shows: files of 600 x 450 "
        "found, decoded, written into tables and maps. Starting is in it.",
    )
