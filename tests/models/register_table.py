"""Writes docs/register.csv: where cells look, found with a moving patch, and where maps are drawn.

`python -m tests.models.register_table` (several minutes).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.models.patches import NETWORKS, SIZES, Size, looked_at, make
from xattn.images import Cells
from xattn.models.cell_places import find_cells
from xattn.models.probe import find_target_layer, probe

TABLE = Path(__file__).parents[2] / "docs" / "register.csv"


def row(name: str, size: Size) -> dict[str, object]:
    """Measure one network at one size: mean distances in pixels of its cells, both axes."""
    module = make(name, size)
    layer = find_target_layer(probe(module, size))
    assert layer.layout is not None
    cells = find_cells(module, size, [layer])[layer.name]
    images = 3 if max(size) < 200 else 1
    found = looked_at(module, layer.name, layer.layout, size, cells, images)
    return {
        "network": name,
        "height": size[0],
        "width": size[1],
        "grid": f"{cells.grid[0]} x {cells.grid[1]}",
        "first": cells.y[0],
        "step": float(np.mean(np.diff(cells.y))),
        "found_first": round(float(found[0][0]), 1),
        "off": _mean_distance(cells, found),
        "off_spread": _mean_distance(Cells.spread(cells.grid, size), found),
    }


def _mean_distance(cells: Cells, found: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
    apart = [np.abs(found[0] - cells.y), np.abs(found[1] - cells.x)]
    return round(float(np.concatenate(apart).mean()), 2)


def main() -> None:
    """Measure all and write the table."""
    rows = []
    for size in SIZES:
        for name in NETWORKS:
            rows.append(row(name, size))
            sys.stderr.write(f"{rows[-1]}\n")
    pd.DataFrame(rows).to_csv(TABLE, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
