"""Hold every edit of one kind of scene against the truth, and print the table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from tests.analysis.counterfactuals import (  # noqa: F401  (register)
    dermoscopy,
    lesions,
    placed,
    tissue,
)
from tests.analysis.counterfactuals.figures import table
from tests.analysis.counterfactuals.images import exam
from tests.analysis.counterfactuals.images import lessons as training_images
from tests.analysis.counterfactuals.kinds import KINDS, Kind
from tests.analysis.counterfactuals.networks import answers


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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(KINDS), default="dermoscopy")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first network")
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--effort", type=float, default=1.0, help="fraction of the usual training")
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


if __name__ == "__main__":
    main()
