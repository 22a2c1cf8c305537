"""Writes what docs/register.md shows: where cells look, found by a moving patch, and where drawn.

`python -m tests.models.register_page` measures (several minutes) and writes docs/register.csv;
with `--draw` it only writes the page's table and figure from that file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.models.patches import BLUNT, NETWORKS, SIZES, Size, looked_at, make
from xattn.images import Cells
from xattn.models.probing.cell_places import find_cells
from xattn.models.probing.probe import find_target_layer, probe

DOCS = Path(__file__).parents[2] / "docs"
TABLE, PAGE, FIGURE = DOCS / "register.csv", DOCS / "register.md", DOCS / "images/register.png"

_BEGIN, _END = "<!-- table -->\n", "<!-- end of table -->\n"


def row(name: str, size: Size) -> dict[str, object]:
    """Measure one network at one size.

    `off` and `off_spread` are mean distances in pixels, over the rows and columns of cells, of
    where a cell is drawn from where the patch found it: in register, and spread evenly.
    """
    module = make(name, size)
    layer = find_target_layer(probe(module, size))
    assert layer.layout is not None
    cells = find_cells(module, size, [layer])[layer.name]
    images = (4 if max(size) < 200 else 2) * BLUNT.get(name, 1)
    found = looked_at(module, layer.name, layer.layout, size, cells, images)
    return {
        "network": name,
        "height": size[0],
        "width": size[1],
        "off": _mean_distance(cells, found),
        "off_spread": _mean_distance(Cells.spread(cells.grid, size), found),
        "rows": _joined(cells.y),
        "rows_found": _joined(found[0]),
        "columns": _joined(cells.x),
        "columns_found": _joined(found[1]),
    }


def _mean_distance(cells: Cells, found: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
    apart = [np.abs(found[0] - cells.y), np.abs(found[1] - cells.x)]
    return round(float(np.concatenate(apart).mean()), 2)


def _joined(centres: NDArray[np.float64] | tuple[float, ...]) -> str:
    return " ".join(f"{c:.1f}" for c in centres)


def _split(text: str) -> NDArray[np.float64]:
    return np.array([float(v) for v in text.split()])


def markdown(table: pd.DataFrame) -> str:
    """Return the page's table: per network and size, pixels off in register and spread evenly."""
    head = [f"{h} x {w}" for h, w in SIZES]
    lines = ["| network | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for name in NETWORKS:
        rows = table[table["network"] == name].set_index(["height", "width"])
        cells = [f"{rows.loc[s, 'off']:.1f}, {rows.loc[s, 'off_spread']:.1f}" for s in SIZES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame) -> None:
    """Draw where the rows of cells look at 224 pixels, and both ways to draw them."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    chosen = table[(table["height"] == 224) & (table["width"] == 224)].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for i, one in chosen.iterrows():
        cells, found = _split(one["rows"]), _split(one["rows_found"])
        spread = Cells.spread((len(cells), 1), (224, 224)).y
        height = np.full(len(cells), -float(i))
        axes.plot(found, height, "o", color="0.75", markersize=9, label="found by a moving patch")
        axes.plot(cells, height, "|", color="tab:blue", markersize=13, label="drawn in register")
        axes.plot(spread, height, "x", color="tab:red", markersize=6, label="spread evenly")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:3], labels[:3], ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.12),
                frameon=False)  # fmt: skip
    axes.axvspan(-0.5, 223.5, color="0.96", zorder=0)
    axes.set_yticks(-np.arange(float(len(chosen))), chosen["network"])
    axes.set_xlabel("row of pixels of the input")
    axes.set_xlim(-6, 230)
    figure.savefig(FIGURE, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure, unless only drawing is asked for, and write table and figure."""
    if "--draw" not in sys.argv:
        rows = []
        for size in SIZES:
            for name in NETWORKS:
                rows.append(row(name, size))
                sys.stderr.write(f"{rows[-1]}\n")
        pd.DataFrame(rows).to_csv(TABLE, index=False, lineterminator="\n")
    table = pd.read_csv(TABLE)
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + markdown(table) + _END + rest.partition(_END)[2])
    draw(table)


if __name__ == "__main__":
    main()
