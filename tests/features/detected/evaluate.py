"""How good are the detectors? `python -m tests.features.detected.evaluate [--write]`

Human flags and artifact masks of ISIC 2018 are the reference. Constants were set on one random half
of the images; all numbers here are of the other half. `--write` puts the tables into
docs/features.md.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from xattn.features.computed import Subject, measure_all
from xattn.features.computed.frame import read_framed, whole_image
from xattn.features.detected import DETECTORS, PRESENT, Detection, FramedImage
from xattn.images import read_image, read_mask, sample_mask
from xattn.images.prefetch import prefetch

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "features.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

SPLIT_SEED = 2018
REPLICATES = 1000
MASKS = {
    "patches": ("bandaid_manual_r2r", "{id}_downsampled.png", "by hand"),
    "ruler": ("binary/ruler", "{id}.png", "from a model, noisy"),
    "ink": ("binary/skin_marker", "{id}.png", "from a model, noisy"),
}
"""Artifact -> folder, file name, where the masks come from."""


def halves(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut images into the half that constants were set on, and the half that is reported."""
    ids = np.sort(ids)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(ids))
    return ids[np.sort(order[: len(ids) // 2])], ids[np.sort(order[len(ids) // 2 :])]


def area_under_curve(score: np.ndarray, present: np.ndarray) -> float:
    """Chance that an image with the artifact scores above one without, ties counting half."""
    ranks, n = rankdata(score), int(present.sum())
    return float((ranks[present].sum() - n * (n + 1) / 2) / (n * (len(present) - n)))


def interval(values: np.ndarray, statistic, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a statistic of rows, resampled."""
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(REPLICATES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Looked:
    """One image: what each detector found, its IoU where there is a mask, and seconds taken."""

    scores: dict[str, float]
    overlap: dict[str, float]
    seconds: dict[str, float]


def look(image: str) -> Looked:
    pixels, _ = read_framed(DATA / "isic2018" / "images" / f"{image}.jpg")
    scores, overlap, seconds = {}, {}, {}
    for name, detector in DETECTORS.items():
        start = time.thread_time()
        found = detector(FramedImage(pixels))
        seconds[name] = time.thread_time() - start
        scores[name] = found.score
        reference = true_mask(name, image, pixels.shape[:2])
        if reference is not None and reference.any():
            overlap[name] = intersection_over_union(found, reference)
    return Looked(scores, overlap, seconds)


def true_mask(name: str, image: str, shape: tuple[int, int]) -> np.ndarray | None:
    if name not in MASKS:
        return None
    folder, pattern, _ = MASKS[name]
    path = DATA / "isic_artifact_masks" / folder / pattern.format(id=image)
    if not path.is_file():
        return None
    # Non-zero is the patch in the masks by hand, whatever the value. Squashed to a square.
    mask = np.asarray(read_image(path).image).any(2) if name == "patches" else read_mask(path)
    size = shape[1], shape[0]
    return sample_mask(mask, whole_image(size), size)


def intersection_over_union(found: Detection, reference: np.ndarray) -> float:
    return float((found.mask & reference).sum() / (found.mask | reference).sum())


def detector_table(index: pd.DataFrame, workers: int = 2) -> str:
    _, held_out = halves(index.index.to_numpy())
    looked = list(prefetch(look, held_out, workers))
    lines = [
        "| detector | with flag | AUC (95 %) | sensitivity, specificity at 0.5 | IoU, median "
        "(95 %) | masks | ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in DETECTORS:
        score = np.array([one.scores[name] for one in looked])
        present = index.loc[held_out, f"artifact_{name}"].to_numpy() == 1
        rows = np.stack([score, present], axis=1)
        low, high = interval(rows, lambda r: area_under_curve(r[:, 0], r[:, 1] > 0))
        called = score >= PRESENT
        overlap = np.array([one.overlap[name] for one in looked if name in one.overlap])
        ious = masks = "-"
        if len(overlap):
            ends = interval(overlap, np.median)
            ious = f"{np.median(overlap):.2f} ({ends[0]:.2f} to {ends[1]:.2f})"
            masks = f"{len(overlap)}, {MASKS[name][2]}"
        took = 1e3 * np.mean([one.seconds[name] for one in looked])
        lines.append(
            f"| `{name}` | {present.sum()} of {len(present)} "
            f"| {area_under_curve(score, present):.3f} ({low:.3f} to {high:.3f}) "
            f"| {called[present].mean():.2f}, {(~called[~present]).mean():.2f} "
            f"| {ious} | {masks} | {took:.0f} |"
        )
    return "\n".join(lines) + "\n"


def measure_one(image: str) -> tuple[dict[str, float], float]:
    pixels, size = read_framed(DATA / "isic2018" / "images" / f"{image}.jpg")
    mask = read_mask(DATA / "isic2018" / "lesion_masks" / f"{image}_segmentation.png")
    lesion = sample_mask(mask, whole_image(size), size)
    start = time.thread_time()
    values, _ = measure_all(Subject(pixels, lesion))
    return values, time.thread_time() - start


def computed_table(index: pd.DataFrame, workers: int = 2) -> str:
    ids = np.sort(index.index.to_numpy())
    measured = list(prefetch(measure_one, ids, workers))
    table = pd.DataFrame([values for values, _ in measured])
    malignant = index.loc[ids, "label"].to_numpy() == 1
    lines = [
        "| feature | measured in | 5 % | median | 95 % | AUC for malignant |",
        "|---|---|---|---|---|---|",
    ]
    for name in table:
        known = table[name].notna().to_numpy()
        low, middle, high = np.percentile(table[name][known], [5, 50, 95])
        auc = area_under_curve(table[name][known].to_numpy(), malignant[known])
        lines.append(
            f"| `{name}` | {known.sum()} | {low:.3g} | {middle:.3g} | {high:.3g} | {auc:.2f} |"
        )
    took = 1e3 * np.mean([seconds for _, seconds in measured])
    return "\n".join(lines) + f"\n\nAll of them together: {took:.1f} ms of one core an image.\n"


def main() -> int:
    """Measure, print, and write the page if asked."""
    if not DATA.is_dir():
        sys.stderr.write(f"Expected the data in {DATA}, but it is not there\n")
        return 1
    index = pd.read_csv(DATA / "isic2018" / "index.csv").set_index("id")
    start = time.perf_counter()
    text = (
        f"\n**Detectors**, the half of ISIC 2018 that they were not set on:\n\n"
        f"{detector_table(index)}\n**Computed features**, all of ISIC 2018:\n\n"
        f"{computed_table(index)}\n"
    )
    sys.stdout.write(text)
    sys.stderr.write(f"{time.perf_counter() - start:.0f} s\n")
    if "--write" in sys.argv[1:]:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
