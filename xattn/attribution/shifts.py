"""Finer maps: the image is shifted by parts of a cell, and the maps are put together in register.

A layer's cells look at places a step apart. Moved against them by half a step, an image shows them
what lies between. With k x k such passes the cells of all maps together lie a k-th of a step apart,
each at the place where it looked. What a single cell sees is as wide as before.

    pass without shift      o   o   o       cells look at 0, 32, 64
    image moved by -16        x   x   x     the same cells look at 16, 48, 80
    together                o x o x o x     0, 16, 32, 48, 64, 80

What a shift uncovers at a border is filled with the image mirrored there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from torch import Tensor

from xattn.attribution.passes.capture import Captured
from xattn.attribution.registry import Method
from xattn.errors import MethodError, UsageError
from xattn.images.cells import Cells
from xattn.models.interface import Model

Jobs = Mapping[str, tuple[Method, int]]
Found = tuple[list[Captured], dict[str, Tensor]]
Attribute = Callable[[Model, Tensor, Jobs, Sequence[Tensor | None]], Found]


@dataclass(frozen=True)
class CamMethod(Method):
    """A method whose maps lie on the cells of a layer, which shifts can make finer.

    Attributes:
        shifts: passes, each of the image shifted by another part of a cell: 1, 4, 9, 16, ...
    """

    shifts: int = 1

    def __post_init__(self) -> None:
        """Make sure that the shifts are those of a square."""
        if self.shifts < 1 or isqrt(self.shifts) ** 2 != self.shifts:
            raise UsageError(
                f"Expected 1, 4, 9, 16, ... as shifts of method {self.card.name!r}, as many along "
                f"both sides of a cell, but got {self.shifts}"
            )

    def check(self, model: Model) -> None:
        """Look whether a cell is wide enough for the shifts.

        Raises:
            MethodError: as of `Method.check`; or a cell is not.
        """
        super().check(model)
        if self.shifts > 1:
            _ = self.offsets(model)

    def offsets(self, model: Model) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return by how many pixels the cells look further down, and to the right, pass by pass.

        Raises:
            MethodError: the cells are too near each other.
        """
        if self.shifts > 1 and model.on_pixels:
            raise MethodError(
                f"Method {self.name!r} needs members that share the explained layer, but those of "
                f"the {model.architecture} do not; use {self.card.name} without shifts"
            )
        cells, parts = self.layer_cells(model), isqrt(self.shifts)
        return _offsets(self, cells.y, cells.size[0], parts), _offsets(
            self, cells.x, cells.size[1], parts
        )

    def layer_cells(self, model: Model) -> Cells:
        """Return where the cells of one pass lie in the input."""
        return super().cells(model)

    def cells(self, model: Model) -> Cells:
        """Return where the cells of all passes lie in the input."""
        cells = self.layer_cells(model)
        if self.shifts == 1:
            return cells
        y, x = (
            tuple(float(centre + offset) for centre in centres for offset in offsets)
            for centres, offsets in zip((cells.y, cells.x), self.offsets(model), strict=True)
        )
        return Cells(y, x, cells.size, cells.found)

    def grid_name(self, model: Model) -> str:
        """Return the layer's path, and how many shifts there are of it."""
        layer = super().grid_name(model)
        return layer if self.shifts == 1 else f"{layer}, {self.shifts} shifts"


def _offsets(
    method: Method, centres: tuple[float, ...], pixels: int, parts: int
) -> tuple[int, ...]:
    """Divide the step between cells into parts; 0 is among them, for the pass of all methods.

    Of the ways to do so the one is taken that lays the cells most evenly into the view.
    """
    if parts == 1:
        return (0,)
    steps = np.diff(centres) if len(centres) > 1 else np.array([float(pixels)])
    if steps.min() < parts:
        raise MethodError(
            f"Method {method.name!r} shifts an image by {parts} parts of a cell, but the cells of "
            f"its layer are {steps.min():.3g} pixels wide"
        )
    ways = [
        tuple(round((part - first) * float(steps.mean()) / parts) for part in range(parts))
        for first in range(parts)
    ]
    middle = (pixels - 1) / 2 - (centres[0] + centres[-1]) / 2
    return min(ways, key=lambda offsets: abs((offsets[0] + offsets[-1]) / 2 - middle))


def shifted(inputs: Tensor, down: int, right: int) -> Tensor:
    """Return inputs (n, C, H, W) of which place (y, x) shows what was at (y + down, x + right).

    Beyond the border the image is mirrored, without its outermost row or column.
    """
    height, width = inputs.shape[2:]
    rows, columns = _mirrored(down, height), _mirrored(right, width)
    return inputs[:, :, rows.to(inputs.device)][:, :, :, columns.to(inputs.device)]


def _mirrored(offset: int, size: int) -> Tensor:
    places = (torch.arange(size) + offset).abs()
    return (size - 1) - ((size - 1) - places).abs()


def attribute_shifted(
    model: Model,
    inputs: Tensor,
    jobs: Jobs,
    targets: Sequence[Tensor | None],
    attribute: Attribute,
) -> Found:
    """Make several methods' maps of a batch, with as many passes as their shifts ask for.

    Methods of equal shifts share the passes. The class that is explained is that of the image as
    it is, whatever would be predicted of a shifted one.

    Args:
        model, inputs, jobs, targets: as of `attribute_each`.
        attribute: does the same in one pass.

    Returns:
        As `attribute_each`; what was captured is that of the image as it is.
    """
    captured, maps = attribute(model, inputs, jobs, targets)
    finer: dict[str, tuple[CamMethod, int]] = {
        name: (each, i)
        for name, (each, i) in jobs.items()
        if isinstance(each, CamMethod) and each.shifts > 1
    }
    passes: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    whole = {}
    for name, (each, _) in finer.items():
        down, right = each.offsets(model)
        n, h, w = maps[name].shape
        whole[name] = maps[name].new_empty(n, len(down), len(right), h, w)
        for i, y in enumerate(down):
            for j, x in enumerate(right):
                passes.setdefault((y, x), {})[name] = (i, j)
    for (y, x), parts in passes.items():
        found = maps
        if (y, x) != (0, 0):
            wanted = sorted({finer[name][1] for name in parts})
            own = {name: (finer[name][0], wanted.index(finer[name][1])) for name in parts}
            classes = [captured[i].targets for i in wanted]
            _, found = attribute(model, shifted(inputs, y, x), own, classes)
        for name, (i, j) in parts.items():
            whole[name][:, i, j] = found[name]
    joined = {
        name: passed.permute(0, 3, 1, 4, 2).reshape(
            len(passed), passed.shape[3] * passed.shape[1], passed.shape[4] * passed.shape[2]
        )
        for name, passed in whole.items()
    }
    return captured, {name: joined.get(name, maps[name]) for name in jobs}
