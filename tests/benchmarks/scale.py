"""`make scale`: memory, images a second and resuming by the number of images.

Every number is of a call of the command line in a process of its own: its peak resident memory as
the system counts it, its seconds by the clock. The network is small (timm's `test_resnet` at 64
pixels), so that what grows with the number of images is not hidden behind what does not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from xattn.annotations import AnnotatedImage, write_annotations
from xattn.images import Preprocessing
from xattn.models import build, save_checkpoint

DOCS = Path(__file__).parents[2] / "docs"
SIZES = (1_000, 5_000, 20_000, 50_000)
SIDE, PHOTOGRAPH = 64, (96, 72)
METHODS = ("gradcam", "eigencam")


@dataclass(frozen=True)
class Call:
    """One call of the command line.

    Attributes:
        seconds: by the clock.
        peak: MB of resident memory, the most that its process had.
    """

    seconds: float
    peak: float


def call(words: Sequence[str], stop_after: Path | None = None, rows: int = 0) -> Call:
    """Run `xattn` in a process of its own.

    Args:
        words: of the command line.
        stop_after: of a run, which gets a SIGKILL when it has so many rows.
        rows: how many.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "xattn", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if stop_after is not None:
        while process.poll() is None and _committed(stop_after) < rows:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and stop_after is None:
        raise RuntimeError(f"xattn {' '.join(words)} ended with {process.returncode}: {said}")
    return Call(time.perf_counter() - began, used.ru_maxrss / 1024)


def _committed(run: Path) -> int:
    """Count the images that a run has committed: batches of 16 while it goes on."""
    return 16 * len(list((run / ".progress").glob("batch-*.json")))


def make_data(folder: Path, n: int, seed: int = 0) -> None:
    """Write n small JPEGs with lesions and rulers, their masks and annotation file, and a model."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    width, height = PHOTOGRAPH
    rows, columns = np.mgrid[:height, :width]
    images = []
    for i in range(n):
        name, x, y = f"photograph_{i:07}", *rng.uniform(0.35, 0.65, 2)
        lesion = np.hypot(columns / width - x, rows / height - y) < rng.uniform(0.15, 0.3)
        pixels = np.full((height, width, 3), (214, 170, 150), np.float32)
        pixels[lesion] = rng.uniform(60, 140, 3)
        ruler = bool(rng.integers(2))
        if ruler:
            pixels[-8:, ::6] = 20
        pixels += rng.normal(0, 6, (height, width, 1))
        file, mask = folder / "images" / f"{name}.jpg", folder / "masks" / f"{name}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
        Image.fromarray(lesion.astype(np.uint8) * 255).save(mask)
        label = ("benign", "malignant")[int(rng.integers(2))]
        values = {"ruler": int(ruler), "age": int(rng.integers(20, 90))}
        images.append(AnnotatedImage(
            id=name, file=file, label=label, group=f"lesion_{i // 2}", lesion=mask, values=values
        ))  # fmt: skip
    kinds = {"ruler": "artifact", "age": "metadata"}
    write_annotations(
        folder / "annotations.json", images, labels=["benign", "malignant"], features=kinds
    )
    torch.manual_seed(seed)
    save_checkpoint(
        folder / "model.pt",
        build("test_resnet", 2),
        architecture="test_resnet",
        classes=["benign", "malignant"],
        preprocessing=Preprocessing(size=(SIDE, SIDE), mode="squash"),
    )


def measure(folder: Path, n: int) -> dict[str, float]:
    """Measure explain, resuming and feature-usage of n images."""
    if not (folder / "model.pt").is_file():
        make_data(folder, n)
    run = folder / "run"
    explain = [
        "explain", "--ckpt", str(folder / "model.pt"), "--images", str(folder / "images"),
        *(word for name in METHODS for word in ("--method", name)),
        "--overlay", "none", "--device", "cpu", "--out",
    ]  # fmt: skip
    whole = call([*explain, str(run)])
    again = call([*explain, str(run)])
    usage = call([
        "feature-usage", "--run", str(run), "--annotations", str(folder / "annotations.json"),
        "--interventions", "100",
    ])  # fmt: skip
    stopped = call([*explain, str(folder / "stopped")], folder / "stopped", n // 2)
    rest = call([*explain, str(folder / "stopped")])
    shutil.rmtree(folder / "stopped")
    return {
        "images": n,
        "explain_mb": whole.peak,
        "explain_per_second": n / whole.seconds,
        "nothing_left_s": again.seconds,
        "killed_and_resumed": (stopped.seconds + rest.seconds) / whole.seconds,
        "feature_usage_mb": usage.peak,
        "feature_usage_per_second": n / usage.seconds,
    }


def main() -> int:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--images", type=int, action="append", help="this number; default all")
    parser.add_argument("--work", type=Path, help="folder to work in and keep")
    parsed = parser.parse_args()
    rows = []
    for n in parsed.images or SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(measure((parsed.work or Path(scratch)) / str(n), n))
        sys.stdout.write(f"{rows[-1]}\n")
    table = pd.DataFrame(rows)
    sys.stdout.write(table.to_string(index=False) + "\n")
    if not parsed.images:
        table.to_csv(DOCS / "scale.csv", index=False, float_format="%.4g")
    return 0


if __name__ == "__main__":
    sys.exit(main())
