"""What fills a hole best: ways of inpainting, held against the scene beneath the artifact.

    python -m tests.analysis.counterfactuals.filling --work DIR

DIR is that of the edits' truth, with its networks. xphoto is of opencv-contrib-python-headless,
which replaces OpenCV, so that it is taken only where it is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from skimage.restoration import inpaint_biharmonic

from tests.analysis.counterfactuals import dermoscopy, tissue  # noqa: F401  (register)
from tests.analysis.counterfactuals.figures import LEARNT, fits, interval, weights
from tests.analysis.counterfactuals.held import Inpainted
from tests.analysis.counterfactuals.images import EXAM, STRIDE
from tests.analysis.counterfactuals.kinds import KINDS, Kind
from tests.analysis.counterfactuals.networks import loaded, scores
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
    FILLS["FSR, best"] = _xphoto(cv2.xphoto.INPAINT_FSR_BEST)
    FILLS["shift map"] = _xphoto(cv2.xphoto.INPAINT_SHIFTMAP)
_FIRST = next(iter(FILLS))


def filled(kind: Kind, scenes: int, networks: list[Path]) -> pd.DataFrame:
    """Return a row a feature and filling: error beneath it, its time, and what networks make of it.

    Args:
        kind: of the scenes.
        scenes: for each feature.
        networks: files of trained ones.
    """
    asked = [loaded(file, len(kind.tasks)) for file in networks]
    rows = []
    for place, (name, task) in enumerate(kind.tasks.items()):
        (without,) = [one.without for one in task.held if isinstance(one, Inpainted)] or [None]
        if without is None:
            continue
        able = [one for one in asked if one.auc[place] >= LEARNT]
        images, errors, took = _of_task(task, without, scenes)
        said = {
            key: np.stack([scores(one.net, stack)[:, place] for one in able]) if able else None
            for key, stack in images.items()
        }
        for key in FILLS:
            row = {"feature": name, "fill": key, "scenes": len(errors[key]), "learnt": len(able)}
            row |= {"ms": 1000 * float(np.median(took[key]))}
            row |= interval("error", _mean(errors[key]))
            row |= interval("ratio", _mean(errors[key]) / _mean(errors[_FIRST]))
            if able:
                change, true = said[key] - said["before"], said["true"] - said["before"]
                drawn = weights(len(able), len(errors[key]))
                r, slope = fits(change, true, np.arange(len(errors[key])), drawn)
                row |= interval("correlation", r) | interval("slope", slope)
            rows.append(row)
            sys.stdout.write(str({k: v if isinstance(v, str) else round(v, 3)
                                  for k, v in row.items()}) + "\n")  # fmt: skip
            sys.stdout.flush()
    return pd.DataFrame(rows)


def _of_task(task, without, scenes):
    """Return images by filling, before and true; errors and times by filling."""
    images: dict[str, list[Pixels]] = {key: [] for key in (*FILLS, "before", "true")}
    errors: dict[str, list[float]] = {key: [] for key in FILLS}
    took: dict[str, list[float]] = {key: [] for key in FILLS}
    for i in range(scenes):
        spec = task.ready(task.kind.scene(EXAM, STRIDE * i))
        rendered, true = task.kind.render(spec), task.kind.render(without(spec)).image
        hole = widened(rendered.masks[task.masked])
        if not rendered.masks[task.masked].any() or hole.mean() > 0.5:
            continue
        images["before"].append(rendered.image)
        images["true"].append(true)
        goal = to_lab(true.astype(np.float32))[hole]
        for key, fill in FILLS.items():
            start = time.process_time()
            after = fill(rendered.image, hole)
            took[key].append(time.process_time() - start)
            apart = to_lab(after.astype(np.float32))[hole] - goal
            errors[key].append(float(np.sqrt(np.square(apart).sum(axis=1).mean())))
            images[key].append(after)
    return {key: np.stack(of) for key, of in images.items()}, errors, took


def _mean(errors: list[float]) -> np.ndarray:
    """Return the mean over scenes by replicate, the same scenes drawn for every filling."""
    drawn = weights(1, len(errors))[1]
    return drawn @ np.array(errors) / len(errors)


def main() -> None:
    """Print the table, and write it where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(KINDS), default="dermoscopy")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--out", type=Path, help="CSV of the table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    networks = sorted(given.work.glob(f"{given.kind}-network-*.pt"))
    found = filled(KINDS[given.kind], given.scenes, networks)
    if given.out:
        found.round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
