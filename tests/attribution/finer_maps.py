"""What finer maps gain: pointing and lift on masks of each size, against another method's maps.

Reads run folders that `xattn explain` and `xattn feature-usage` left, with maps of all methods:

    python -m tests.attribution.finer_maps RUN [--feature NAME[=TARGET]] ...

A mask's size is its area in cells of the plain map. Differences are paired, image by image, with
95 % percentile intervals of a bootstrap over images: a row of several features counts an image once
for each mask.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from xattn.runs import RunFolder

BASE = "gradcam"
SIZES = ((0.0, 0.25), (0.25, 1.0), (1.0, 4.0), (4.0, np.inf))
REPLICATES = 2000


def scores_of(run: RunFolder, features: dict[str, str]) -> pd.DataFrame:
    """Return the scores of every image, with the size of each mask in cells of the plain map.

    Args:
        run: the run.
        features: feature -> target whose maps count, "" for the first; by default all, of the
            first target.
    """
    table = pd.read_parquet(run.path / "mask_scores.parquet")
    parts = table["method"].str.partition("@")
    table = table.assign(method=parts[0], target=parts[2])
    wanted = table["feature"].map(features) if features else ""
    table = table[table["target"] == wanted]
    return table.assign(cells=table["area"] * run.cells(BASE).in_view)


def compare(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return one row per size and method: scores, and what they differ from the plain map's.

    Args:
        scores: of `scores_of`.
        seed: of the bootstrap.
    """
    rows = []
    methods = [m for m in dict.fromkeys(scores["method"]) if m != "centre-prior"]
    for low, high in SIZES:
        some = scores[(scores["cells"] >= low) & (scores["cells"] < high)]
        wide = some.pivot_table(
            index=["image_id", "feature"], columns="method", values=["pointing", "mass", "area"]
        ).dropna()
        if len(wide) < 10:
            continue
        images = wide.index.get_level_values("image_id")
        code, _ = pd.factorize(images)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(code.max() + 1, np.full(code.max() + 1, 1 / (code.max() + 1)),
                                REPLICATES)[:, code]  # fmt: skip
        weights = np.vstack([np.ones(len(wide)), drawn])
        area = wide["area"][BASE].to_numpy()
        of = {}
        for method in methods:
            mass, point = (wide[s][method].to_numpy() for s in ("mass", "pointing"))
            of[method] = (weights @ point / weights.sum(1), weights @ mass / (weights @ area))
        for method in methods:
            row = {"cells": f"{low:g} to {high:g}", "method": method, "masks": len(wide)}
            for k, name in enumerate(("pointing", "lift")):
                gain = of[method][k] - of[BASE][k]
                row |= {name: of[method][k][0], f"{name} gain": gain[0]}
                row |= dict(zip((f"{name} low", f"{name} high"),
                                np.percentile(gain[1:], [2.5, 97.5]), strict=True))  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Write the table as a page has it."""
    lines = [
        "| masks, in cells | method | pointing | against `gradcam` | lift | against `gradcam` |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in table.iterrows():
        cells = [f"{row['cells']} ({row['masks']})" if row["method"] == BASE else "",
                 f"`{row['method']}`"]  # fmt: skip
        for name in ("pointing", "lift"):
            cells.append(f"{row[name]:.2f}")
            gain = f"{row[f'{name} gain']:+.2f} ({row[f'{name} low']:+.2f} to {row[f'{name} high']:+.2f})"  # noqa: E501
            cells.append("" if row["method"] == BASE else gain)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--feature", action="append", default=[], metavar="NAME[=TARGET]")
    given = parser.parse_args()
    asked = dict((text.partition("=")[::2]) for text in given.feature)
    sys.stdout.write(markdown(compare(scores_of(RunFolder.open(given.run), asked))) + "\n")
