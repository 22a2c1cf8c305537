"""Hold every edit of one kind of scene against the truth, and print the table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tests.analysis.counterfactuals import (  # noqa: F401  (register)
    dermoscopy,
    lesions,
    placed,
    tissue,
)
from tests.analysis.counterfactuals.figures import COLUMNS, table
from tests.analysis.counterfactuals.images import exam
from tests.analysis.counterfactuals.images import lessons as training_images
from tests.analysis.counterfactuals.kinds import KINDS, Kind
from tests.analysis.counterfactuals.networks import answers
from xattn.analysis.interventions.known import FILE


def measured(
    kind: Kind,
    work: Path,
    networks: int,
    images: int,
    scenes: int,
    effort: float = 1.0,
    first: int = 0,
) -> pd.DataFrame:
    """Train networks, and return what they say of every edit; what is in `work` is not done again.

    Args:
        kind: of the scenes.
        work: folder for images and answers.
        networks: how many.
        images: to train on.
        scenes: that are edited.
        effort: fraction of the usual training.
        first: seed of the first network; several processes may share the work.
    """
    taught, asked = training_images(kind, images, work), exam(kind, scenes, work)
    said = []
    for seed in range(first, first + networks):
        file = work / f"{kind.name}-network-{seed}.npz"
        said.append(answers(seed, taught, asked, file, round(effort * kind.passes)))
        learnt = ", ".join(f"{n} {a:.2f}" for n, a in zip(kind.tasks, said[-1].auc, strict=True))
        sys.stdout.write(f"{seed} {said[-1].name}: {learnt}\n")
        sys.stdout.flush()
    return table(kind, asked, said)


def write(found: pd.DataFrame, file: Path) -> None:
    """Put rows into the file of all kinds, in the place of those of the same edits."""
    rows = found.round(3)
    if file.is_file():
        rows = pd.concat([pd.read_csv(file), rows]).drop_duplicates(
            ["domain", "edit", "feature"], keep="last"
        )
    order = {
        (kind.domain, held.edit, task.feature): i
        for i, (kind, task, held) in enumerate(
            (kind, task, held)
            for kind in KINDS.values()
            for task in kind.tasks.values()
            for held in task.held
        )
    }
    place = [order.get(key, -1) for key in zip(*(rows[c] for c in COLUMNS[:3]), strict=True)]
    rows = rows.iloc[np.argsort(place, kind="stable")][COLUMNS]
    rows[np.array(sorted(place)) >= 0].to_csv(file, index=False)


def main() -> None:
    """Print the table, and put it into the file that the package reads if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(KINDS), default="dermoscopy")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--effort", type=float, default=1.0, help="fraction of the usual training")
    parser.add_argument("--write", action="store_true", help="put the figures into known.csv")
    given = parser.parse_args()
    found = measured(
        KINDS[given.kind],
        given.work,
        given.networks,
        given.images,
        given.scenes,
        given.effort,
        given.first,
    )
    sys.stdout.write(found.round(3).to_string() + "\n")
    if given.write:
        write(found, FILE)


if __name__ == "__main__":
    main()
