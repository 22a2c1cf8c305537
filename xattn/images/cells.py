"""Where the cells of a map lie in what the model sees, and how values get from cells to pixels.

A cell of a convolutional map is not spread evenly: in a ResNet the paddings and strides put cell r
at pixel 32 r, not at 32 r + 15.5, where every common tool draws it. So a map always travels with
the centres of its cells, and only here are cells turned into pixels and pixels into cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xattn.errors import RunError


@dataclass(frozen=True)
class Cells:
    """The centres of a map's cells in pixels of the model's input.

    The centre of pixel i is at i, so that an input of height H reaches from -0.5 to H - 0.5.
    Between two centres values are interpolated; beyond the outermost the nearest cell counts.

    Attributes:
        y: centres of the rows of cells, strictly ascending; some may lie beyond the input.
        x: centres of the columns.
        size: (height, width) of the model's input in pixels.
        found: "traced" through the model, "probed" by its gradient, or "spread" evenly.
    """

    y: tuple[float, ...]
    x: tuple[float, ...]
    size: tuple[int, int]
    found: str = "spread"

    def __post_init__(self) -> None:
        for name, centres in (("y", self.y), ("x", self.x)):
            steps = np.diff(centres)
            if not len(centres) or not np.isfinite(centres).all() or not (steps > 0).all():
                raise ValueError(f"Expected ascending centres {name}, but got {centres}")

    @classmethod
    def spread(cls, grid: tuple[int, int], size: tuple[int, int]) -> Cells:
        """Spread a grid of (h, w) cells evenly over an input of (height, width) pixels.

        Right for maps of pixels, patches and whatever else divides the input; for maps of
        convolutional layers it is the common habit, off by up to half a cell.
        """
        y, x = (
            tuple(pixel_places(pixels, n).tolist()) for n, pixels in zip(grid, size, strict=True)
        )
        return cls(y, x, size)

    @property
    def grid(self) -> tuple[int, int]:
        """How many (rows, columns) of cells there are."""
        return len(self.y), len(self.x)

    @property
    def in_view(self) -> float:
        """How many cells the input is worth: its area over that of one cell, step by step.

        Cells at the border may be cut off by it or reach beyond it, so this is not their number.
        """
        h, w = (
            1.0 if len(centres) == 1 else pixels * (len(centres) - 1) / (centres[-1] - centres[0])
            for centres, pixels in zip((self.y, self.x), self.size, strict=True)
        )
        return h * w

    @property
    def ends(self) -> str:
        """The (row, column) of the first and the last cell's centre, in words."""
        return f"({self.y[0]:.1f}, {self.x[0]:.1f}) to ({self.y[-1]:.1f}, {self.x[-1]:.1f})"

    def is_near(self, other: Cells, within: float = 0.25) -> bool:
        """Say whether no centre is farther from the other's than so many pixels of the input."""
        if (self.grid, self.size) != (other.grid, other.size):
            return False
        axes = ((self.y, other.y), (self.x, other.x))
        return all(float(np.abs(np.subtract(*axis)).max()) <= within for axis in axes)

    def matrices(self, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return U_y (height, h) and U_x (width, w), shared and read-only.

        A map m (h, w) shown at height x width pixels, of the same view at any scale, is
        `U_y @ m @ U_x.T`; a mask of that many pixels comes down to the cells by the adjoint,
        `U_y.T @ mask @ U_x`, so that sums over masked pixels need no enlarged map.
        """
        return (
            _shown(self.y, self.size[0], height),
            _shown(self.x, self.size[1], width),
        )

    def at(
        self, values: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Read a map (h, w) at rows y and columns x of the input: float32 (len(y), len(x)).

        As `matrices` does for pixels that divide the input evenly, here at any places.
        """
        rows = interpolation(self.y, y).astype(np.float32)
        columns = interpolation(self.x, x).astype(np.float32)
        return np.asarray(rows @ values @ columns.T)

    def nearest(self, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which row and column of cells is nearest to each of height x width pixels."""
        found = [
            np.floor(_in_cells(centres, pixel_places(pixels, n)) + 0.5).astype(np.intp)
            for centres, pixels, n in zip((self.y, self.x), self.size, (height, width), strict=True)
        ]
        return found[0], found[1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: per axis [origin, step], or all centres if uneven."""
        return {
            "y": _as_json(self.y),
            "x": _as_json(self.x),
            "grid": list(self.grid),
            "size": list(self.size),
            "unit": "pixel of the input",
            "found": self.found,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Cells:
        """Rebuild from `to_dict`'s values.

        Raises:
            RunError: they are no places of cells.
        """
        try:
            (h, w), (height, width) = values["grid"], values["size"]
            y, x = _from_json(values["y"], h), _from_json(values["x"], w)
            return cls(y, x, (int(height), int(width)), str(values.get("found", "spread")))
        except (KeyError, TypeError, ValueError) as err:
            raise RunError(f"Expected places of cells, but got {values!r}") from err


def upsample(maps: NDArray[np.floating], cells: Cells) -> NDArray[np.float32]:
    """Upsample maps (n, h, w) to the view's pixels: (n, height, width), `cells.size`.

    Linear between the cells' centres, the nearest cell beyond the outermost. Computed in float64
    and rounded once, so that equal neighbours stay equal: ties of the map remain ties of its
    pixels.
    """
    rows, columns = cells.matrices(*cells.size)
    return (rows @ maps.astype(np.float64) @ columns.T).astype(np.float32)


def _as_json(centres: tuple[float, ...]) -> list[float] | dict[str, list[float]]:
    values = np.asarray(centres)
    step = float(values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else 0.0
    even = float(values[0]) + step * np.arange(len(values))
    if np.abs(even - values).max() < 1e-6:
        return [round(float(values[0]), 6), round(step, 6)]
    return {"centres": [round(float(v), 6) for v in values]}


def _from_json(value: list[float] | dict[str, list[float]], n: int) -> tuple[float, ...]:
    if isinstance(value, dict):
        centres = [float(v) for v in value["centres"]]
        if len(centres) != n:
            raise ValueError(f"Expected {n} centres, but got {len(centres)}")
        return tuple(centres)
    origin, step = value
    return tuple(float(origin) + float(step) * i for i in range(n))


def pixel_places(pixels: int, n: int) -> NDArray[np.float64]:
    """Return where the centres of n equal parts lie along an input of so many pixels, (n,)."""
    places: NDArray[np.float64] = (np.arange(n) + 0.5) * pixels / n - 0.5
    return places


def interpolation(centres: tuple[float, ...], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return U (len(places), len(centres)): linear between centres, the nearest beyond them."""
    cells = _in_cells(centres, places)
    low = np.floor(cells).astype(np.intp)
    rows = np.arange(len(places))
    matrix = np.zeros((len(places), len(centres)))
    matrix[rows, low] = 1 - (cells - low)
    matrix[rows, np.minimum(low + 1, len(centres) - 1)] += cells - low
    return matrix


def _in_cells(centres: tuple[float, ...], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count places in cells: 0 is the first centre, 1.5 lies midway between the next two."""
    return np.asarray(np.interp(places, centres, np.arange(len(centres))))


@lru_cache(maxsize=128)
def _shown(centres: tuple[float, ...], pixels: int, n: int) -> NDArray[np.float64]:
    matrix = interpolation(centres, pixel_places(pixels, n))
    matrix.flags.writeable = False
    return matrix
