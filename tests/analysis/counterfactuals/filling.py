"""What fills a hole best: ways of inpainting, held against the scene beneath the artifact.

    python -m tests.analysis.counterfactuals.filling                 # how far from the truth
    python -m tests.analysis.counterfactuals.filling --work DIR      # what networks say of it

DIR is that of the edits' truth, with its networks. xphoto is of opencv-contrib-python-headless,
which replaces OpenCV, so that it is taken only where it is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from skimage.restoration import inpaint_biharmonic

from tests.analysis.counterfactuals import dermoscopy, tissue  # noqa: F401  (register)
from tests.analysis.counterfactuals.figures import LEARNT, fits, interval, weights
from tests.analysis.counterfactuals.held import Inpainted
from tests.analysis.counterfactuals.images import EXAM, STRIDE
from tests.analysis.counterfactuals.kinds import KINDS, Kind
from tests.analysis.counterfactuals.networks import loaded, scores
from tests.analysis.counterfactuals.task import Task
from xattn.analysis.interventions.doses.colours import to_lab
from xattn.analysis.interventions.pixels import Mask, widened
from xattn.images.levels import Pixels

Fill = Callable[[Pixels, Mask], Pixels]


def _opencv(flag: int, radius: float) -> Fill:
    return lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), radius, flag)


def _biharmonic(image: Pixels, hole: Mask) -> Pixels:
    filled = inpaint_biharmonic(image / 255, hole, channel_axis=-1)
    return np.rint(np.clip(filled, 0, 1) * 255).astype(np.uint8)


def _median(image: Pixels, hole: Mask) -> Pixels:
    """Fill with the median colour about the hole: what a filling must be better than."""
    about = widened(hole, 5) & ~hole
    filled = image.copy()
    filled[hole] = np.median(image[about if about.any() else ~hole], axis=0)
    return filled


def _xphoto(flag: int) -> Fill:
    def fill(image: Pixels, hole: Mask) -> Pixels:
        filled = image.copy()
        known = np.where(hole, 0, 255).astype(np.uint8)
        cv2.xphoto.inpaint(np.ascontiguousarray(image), known, filled, flag)
        return filled

    return fill


FILLS: dict[str, Fill] = {
    "Telea, radius 3": _opencv(cv2.INPAINT_TELEA, 3.0),
    "Telea, radius 6": _opencv(cv2.INPAINT_TELEA, 6.0),
    "Navier-Stokes, radius 3": _opencv(cv2.INPAINT_NS, 3.0),
    "biharmonic": _biharmonic,
    "median colour": _median,
}
if hasattr(cv2, "xphoto"):
    FILLS["FSR, fast"] = _xphoto(cv2.xphoto.INPAINT_FSR_FAST)
    FILLS["shift map"] = _xphoto(cv2.xphoto.INPAINT_SHIFTMAP)
_FIRST = next(iter(FILLS))


def errors(kind: Kind, scenes: int) -> pd.DataFrame:
    """Return a row a feature and filling: how far it is from what lies beneath, and its time.

    Images have twice the sides of the kind's.

    Args:
        kind: of the scenes.
        scenes: for each feature.
    """
    large = replace(kind, size=(2 * kind.size[0], 2 * kind.size[1]))
    rows = []
    for name, task in kind.tasks.items():
        apart: dict[str, list[float]] = {key: [] for key in FILLS}
        took: dict[str, list[float]] = {key: [] for key in FILLS}
        for image, hole, true in _holes(replace(task, kind=large), scenes):
            goal = to_lab(true.astype(np.float32))[hole]
            for key, fill in FILLS.items():
                start = time.process_time()
                after = fill(image, hole)
                took[key].append(time.process_time() - start)
                off = to_lab(after.astype(np.float32))[hole] - goal
                apart[key].append(float(np.sqrt(np.square(off).sum(axis=1).mean())))
        for key in FILLS if apart[_FIRST] else ():
            row: dict[str, Any] = {"feature": name, "fill": key, "scenes": len(apart[key])}
            row |= interval("error", _mean(apart[key]))
            row |= interval("ratio", _mean(apart[key]) / _mean(apart[_FIRST]))
            row |= {"ms": 1000 * float(np.mean(took[key]))}
            row |= {"slower": float(np.sum(took[key]) / np.sum(took[_FIRST]))}
            rows.append(row)
            _say(row)
    return pd.DataFrame(rows)


def changes(kind: Kind, scenes: int, networks: list[Path]) -> pd.DataFrame:
    """Return a row a feature and filling: how the change of the score goes with the true one.

    Args:
        kind: of the scenes.
        scenes: for each feature.
        networks: files of trained ones.
    """
    asked = [loaded(file, len(kind.tasks)) for file in networks]
    rows = []
    for place, (name, task) in enumerate(kind.tasks.items()):
        able = [one for one in asked if one.auc[place] >= LEARNT]
        found = list(_holes(task, scenes))
        if not able or not found:
            continue
        images, holes, true = zip(*found, strict=True)

        def said(of: Sequence[Pixels], able=able, place=place) -> np.ndarray:
            return np.stack([scores(one.net, np.stack(of))[:, place] for one in able])

        before = said(images)
        goal = said(true) - before
        drawn = weights(len(able), len(found))
        for key, fill in FILLS.items():
            after = said([fill(*of) for of in zip(images, holes, strict=True)]) - before
            r, slope = fits(after, goal, np.arange(len(found)), drawn)
            row = {"feature": name, "fill": key, "scenes": len(found), "learnt": len(able)}
            rows.append(row | interval("correlation", r) | interval("slope", slope))
            _say(rows[-1])
    return pd.DataFrame(rows)


def _say(row: dict[str, Any]) -> None:
    """Write a row, as soon as it is known."""
    cells = (value if isinstance(value, str) else f"{value:.3g}" for value in row.values())
    sys.stdout.write(", ".join(cells) + "\n")
    sys.stdout.flush()


def _holes(task: Task, scenes: int) -> Iterator[tuple[Pixels, Mask, Pixels]]:
    """Give images with an artifact, what is to be filled, and the images without it."""
    for without in (one.without for one in task.held if isinstance(one, Inpainted)):
        for i in range(scenes):
            spec = task.ready(task.kind.scene(EXAM, STRIDE * i))
            rendered = task.kind.render(spec)
            mask = rendered.masks[task.masked]
            if mask.any() and widened(mask).mean() <= 0.5:
                yield rendered.image, widened(mask), task.kind.render(without(spec)).image


def _mean(values: list[float]) -> np.ndarray:
    """Return the mean over scenes by replicate, the same scenes drawn for every filling."""
    drawn = weights(1, len(values))[1]
    return drawn @ np.array(values) / len(values)


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(KINDS), default="dermoscopy")
    parser.add_argument("--work", type=Path, help="folder of networks; without it errors alone")
    parser.add_argument("--scenes", type=int, default=20)
    given = parser.parse_args()
    kind = KINDS[given.kind]
    if given.work is None:
        found = errors(kind, given.scenes)
    else:
        networks = sorted(given.work.glob(f"{given.kind}-network-*.pt"))
        found = changes(kind, given.scenes, networks)
    sys.stdout.write(found.round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
