"""Finding where the cells of a model's maps lie in its input.

First the places of all numbers are followed through one forward pass (`place_tracer`), which is
exact for whatever is made of convolutions, poolings, paddings, patches and windows. Where that
loses the thread, the input's gradient is asked: which rows and columns of pixels move a row or a
column of cells more than they move all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xattn.images.cells import Cells
from xattn.models.probing import place_rules  # noqa: F401 -- registers what operations do to places
from xattn.models.probing.forward import evaluating, forward_hooked, probe_input
from xattn.models.probing.place_tracer import PlaceTracer
from xattn.models.probing.probe import Layout, Seen

_INPUTS = 4
"""Random inputs whose gradients are averaged."""


def find_cells(
    module: nn.Module, size: tuple[int, int], layers: Sequence[Seen], channels: int = 3
) -> dict[str, Cells]:
    """Find the places of the cells of some layers.

    The module comes back as it was.

    Args:
        module: a classifier of (n, channels, height, width) images.
        size: (height, width) of the input.
        layers: those with a layout; others are left out.
        channels: of the input.
    """
    wanted = {layer.name: layer.layout for layer in layers if layer.layout is not None}
    traced = _trace(module, size, wanted, channels)
    lost = {name: layout for name, layout in wanted.items() if name not in traced}
    return traced | {
        name: _probe(module, size, name, layout, channels) or Cells.spread(layout.grid, size)
        for name, layout in lost.items()
    }


def _trace(
    module: nn.Module, size: tuple[int, int], wanted: dict[str, Layout], channels: int
) -> dict[str, Cells]:
    tracer = PlaceTracer()
    outputs: dict[str, Tensor] = {}
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(module))
        for name in wanted:
            part = module.get_submodule(name)
            stack.callback(part.register_forward_hook(_keeper(outputs, name)).remove)
        x = probe_input(module, size, channels=channels)
        tracer.start(x)
        with tracer:
            module(x)
    found = {}
    for name, output in outputs.items():
        places = tracer.places(output)
        cells = None if places is None else _read(places, wanted[name], size)
        if cells is not None:
            found[name] = cells
    return found


def _keeper(outputs: dict[str, Tensor], name: str) -> Any:
    def keep(_part: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            outputs[name] = first

    return keep


def _read(places: Tensor, layout: Layout, size: tuple[int, int]) -> Cells | None:
    """Read the centres of rows and columns off the places of a layer's output."""
    space = torch.stack([layout.spatial(axis)[0].nanmean(dim=0) for axis in places])
    if space.shape[1:] != layout.grid or bool(space.isnan().any()):
        return None
    y, x = space[0].mean(dim=1), space[1].mean(dim=0)
    bent = torch.stack([space[0] - y[:, None], space[1] - x[None, :]]).abs().max()
    if float(bent) > 1:
        return None
    return _cells(y.double().cpu().numpy(), x.double().cpu().numpy(), size, "traced")


def _probe(
    module: nn.Module, size: tuple[int, int], name: str, layout: Layout, channels: int
) -> Cells | None:
    """Ask the input's gradient; None where it does not tell rows or columns apart."""
    energy = [_energy(module, size, name, layout, seed, channels) for seed in range(_INPUTS)]
    y, x = (_line(_centroids(sum(one[axis] for one in energy))) for axis in (0, 1))
    return None if y is None or x is None else _cells(y, x, size, "probed")


def _energy(
    module: nn.Module, size: tuple[int, int], name: str, layout: Layout, seed: int, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how strongly each row of pixels moves each row of cells, (h, H), and (w, W)."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(evaluating(module))
        x = probe_input(module, size, seed, channels).requires_grad_(True)
        _, outputs = forward_hooked(module, x)
        output = next(tensor for part, tensor in outputs if part == name)
        space = layout.spatial(output)[0]
        generator = torch.Generator().manual_seed(seed)
        direction = torch.randn(len(space), generator=generator).to(space)
        mixed = torch.einsum("chw,c->hw", space, direction)

        def moved(of: Tensor, axis: int) -> NDArray[np.float64]:
            (g,) = torch.autograd.grad(of, x, retain_graph=True)
            row: NDArray[np.float64] = g[0].square().sum(dim=(0, axis)).double().cpu().numpy()
            return row

        rows = np.stack([moved(mixed[i].sum(), 2) for i in range(mixed.shape[0])])
        columns = np.stack([moved(mixed[:, j].sum(), 1) for j in range(mixed.shape[1])])
    return rows, columns


def _centroids(energy: Any) -> NDArray[np.float64]:
    """Centroid of what moves each row of cells more than it moves the others."""
    own = np.clip(energy / energy.sum(axis=1, keepdims=True), 0, None)
    if len(own) > 1:  # what is global moves all rows alike
        own = np.clip(own - np.median(own, axis=0), 0, None)
    with np.errstate(invalid="ignore"):
        centroids: NDArray[np.float64] = own @ np.arange(own.shape[1]) / own.sum(axis=1)
    return centroids


def _line(centres: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Lay a line through the centroids of inner rows: at the edges the image cuts them off."""
    n = len(centres)
    inner = np.arange(1, n - 1) if n >= 4 else np.arange(n)
    if not np.isfinite(centres[inner]).all() or n < 2:
        return None
    step, origin = np.polyfit(inner, centres[inner], 1)
    return origin + step * np.arange(n) if step > 0 else None


def _cells(
    y: NDArray[np.float64], x: NDArray[np.float64], size: tuple[int, int], found: str
) -> Cells | None:
    try:
        return Cells(tuple(y.tolist()), tuple(x.tolist()), size, found)
    except ValueError:  # not ascending: a model that mirrors its input, or no thread at all
        return None
