"""What graded edits of tissue do to all features, and what their controls do.

python -m tests.analysis.edit_effects --patches 24
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.analysis.interventions.doses.scenes import IN_TISSUE, stained_case
from xattn.analysis.interventions.doses.registry import GRADED_EDITS, Altered, DoseCase
from xattn.features.computed import Subject, measure_all

FEATURES = ("haematoxylin", "sharpness", "nuclei_diameter", "nuclei_count", "nuclei_area")


def real_case(file: Path, index: int) -> DoseCase:
    """Return a patch from a file, of which no artifact is known."""
    pixels = np.asarray(Image.open(file).convert("RGB"))
    nothing = np.zeros(pixels.shape[:2], dtype=bool)
    return DoseCase(pixels, nothing, None, ~nothing, False, np.random.default_rng(index))


def measured(case: DoseCase, altered: Altered) -> np.ndarray:
    """Return the features of one image."""
    found, _ = measure_all(Subject(case.taken(altered), case.mask, case.artifacts), FEATURES)
    return np.array([found[name] for name in FEATURES])


def row(name: str, cases: list[DoseCase], before: np.ndarray) -> str:
    """Return a row for the docs: changes in standard deviations at both ends, and of controls."""
    edit, spread, found = GRADED_EDITS[name], np.nanstd(before, axis=0), []
    for case, first in zip(cases, before, strict=True):
        if (dosed := edit.prepare(case)) is not None:
            found.append([
                [(measured(case, do(dose)) - first) / spread for do in (dosed.edit, dosed.control)]
                for dose in (edit.doses[0], edit.doses[-1])
            ])  # fmt: skip
    mean = np.round(np.nanmean(found, axis=0), 1) + 0.0
    cells = [
        f"{mean[0, 0, j]:+.1f}, {mean[1, 0, j]:+.1f} ({mean[0, 1, j]:+.1f}, {mean[1, 1, j]:+.1f})"
        for j in range(len(FEATURES))
    ]
    return f"| `{name}` | {len(found)} | " + " | ".join(cells) + " |\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=24)
    parser.add_argument("--images", type=Path)
    given = parser.parse_args()
    files = sorted(given.images.glob("*.png")) if given.images else []
    cases = [real_case(file, i) for i, file in enumerate(files)]
    cases = cases or [stained_case(i) for i in range(given.patches)]
    before = np.array([measured(case, Altered(case.image)) for case in cases])
    names = " | ".join(f"`{name}`" for name in FEATURES)
    sys.stdout.write(f"| edit | patches | {names} |\n" + "|---" * (2 + len(FEATURES)) + "|\n")
    for name in IN_TISSUE:
        sys.stdout.write(row(name, cases, before))


if __name__ == "__main__":
    main()
