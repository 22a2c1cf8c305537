"""Training images, and scenes with their edits and truths: made once, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.analysis.counterfactuals.kinds import Kind
from tests.analysis.counterfactuals.task import Task
from xattn.images.levels import Pixels
from xattn.runs.atomic import replacing
from xattn.stats.seeds import generator_for

_LESSONS, EXAM = 1000, 5000
"""Seeds of the training images, and of those that are edited."""
STRIDE = 10
"""Scenes that are edited lie so far apart; those between give artifacts and skin."""
_ROLES = ("before", "edited", "true", "control", "compared")


@dataclass(frozen=True)
class Lessons:
    """Training images.

    Attributes:
        images: uint8 (n, height, width, 3).
        labels: (n, tasks), 1 for more of a feature, 0 for less, NaN where there is nothing to tell.
    """

    images: Pixels
    labels: np.ndarray


@dataclass(frozen=True)
class Exam:
    """Edits of scenes beside their truths.

    Attributes:
        images: uint8 (m, height, width, 3), each once.
        pairs: a row a pair: task, edit, scene, dose, and the place of each image; -1 for none.
        scenes: how many scenes each edit was tried on.
    """

    images: Pixels
    pairs: pd.DataFrame
    scenes: int


def lessons(kind: Kind, n: int, work: Path) -> Lessons:
    """Render training images; features of a lesion that is not there have no label."""
    file = work / f"{kind.name}-lessons.npz"
    if not file.is_file():
        tasks = list(kind.tasks.values())
        images, labels = [], np.empty((n, len(tasks)))
        for i in range(n):
            rng = generator_for(_LESSONS, "more", i)
            spec = kind.scene(_LESSONS, i)
            more = {task.name: bool(rng.random() < task.fraction) for task in tasks}
            for task in tasks:
                spec = task.drawn(spec, more[task.name])
            images.append(kind.render(spec).image)
            bare = not more.get("lesion", True)
            labels[i] = [np.nan if bare and t.of_lesion else more[t.name] for t in tasks]
        work.mkdir(parents=True, exist_ok=True)
        with replacing(file) as there, there.open("wb") as stream:
            np.savez(stream, images=np.stack(images), labels=labels)
    with np.load(file) as found:
        return Lessons(found["images"], found["labels"])


def exam(kind: Kind, scenes: int, work: Path) -> Exam:
    """Edit scenes, and render what the edits should have made of them."""
    file = work / f"{kind.name}-exam.npz"
    if not file.is_file():
        found = _Kept()
        for task in kind.tasks.values():
            for i in range(scenes):
                _edit(task, i, found)
        work.mkdir(parents=True, exist_ok=True)
        found.pairs().to_csv(work / f"{kind.name}-pairs.csv", index=False)
        with replacing(file) as there, there.open("wb") as stream:
            np.savez(stream, images=np.stack(found.images))
    with np.load(file) as kept:
        return Exam(kept["images"], pd.read_csv(work / f"{kind.name}-pairs.csv"), scenes)


class _Kept:
    """Images, each once, and the rows that point at them."""

    def __init__(self) -> None:
        self.images: list[Pixels] = []
        self.place: dict[bytes, int] = {}
        self.rows: list[dict[str, object]] = []

    def at(self, image: Pixels | None) -> int:
        if image is None:
            return -1
        key = image.tobytes()
        if key not in self.place:
            self.place[key] = len(self.images)
            self.images.append(image)
        return self.place[key]

    def pairs(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)


def _edit(task: Task, i: int, kept: _Kept) -> None:
    spec = task.ready(task.kind.scene(EXAM, STRIDE * i))
    for held in task.held:
        for pair in held.pairs(task, spec):
            images = {role: kept.at(getattr(pair, role)) for role in _ROLES}
            facts = {"task": task.name, "edit": held.edit, "scene": i, "dose": pair.dose}
            kept.rows.append(facts | images)
