"""Cells in all the places they may have, and what a map of them shows, pixel by pixel."""

from __future__ import annotations

import numpy as np

from xattn.images import Cells


def shown_slowly(values: np.ndarray, cells: Cells, height: int, width: int) -> np.ndarray:
    """A map (h, w) at height x width pixels of the view, one pixel at a time."""
    found = np.empty((height, width))
    for r in range(height):
        row = (r + 0.5) * cells.size[0] / height - 0.5
        for c in range(width):
            column = (c + 0.5) * cells.size[1] / width - 0.5
            lines = [np.interp(column, cells.x, line) for line in values]
            found[r, c] = np.interp(row, cells.y, lines)
    return found


def placed(grid: tuple[int, int], size: tuple[int, int]) -> dict[str, Cells]:
    """Cells of one grid in an input of (height, width), by how they lie."""
    even = Cells.spread(grid, size)
    rng = np.random.default_rng(0)

    def moved(by: float) -> Cells:
        return Cells(tuple(v + by for v in even.y), tuple(v + by for v in even.x), size)

    def uneven(n: int, pixels: int) -> tuple[float, ...]:
        return tuple(np.sort(rng.uniform(-1, pixels, n)).tolist())

    def wide(n: int, pixels: int) -> tuple[float, ...]:
        return tuple((pixels * (-0.3 + 1.6 * (np.arange(n) + 0.5) / n)).tolist())

    return {
        "spread evenly": even,
        "to the corner": Cells(
            tuple(np.arange(grid[0]) * (size[0] / grid[0])),
            tuple(np.arange(grid[1]) * (size[1] / grid[1])),
            size,
        ),
        "shifted": moved(-5.3),
        "uneven": Cells(uneven(grid[0], size[0]), uneven(grid[1], size[1]), size),
        "beyond the input": Cells(wide(grid[0], size[0]), wide(grid[1], size[1]), size),
    }


WAYS = tuple(placed((2, 2), (8, 8)))
