"""Which layer's grid each map of a plan lies on, and where that layer's cells are."""

from __future__ import annotations

from typing import Any

from xattn.attribution.run.plan import Plan
from xattn.models.interface import Model
from xattn.runs.places import to_record


def record_places(model: Model, plan: Plan) -> dict[str, Any]:
    """Return what run.json says of where a plan's maps lie.

    The input's pixels stand there under "input".

    Raises:
        MethodError: a method names a layer that has no grid.
    """
    layers = {name: method.grid_name(model) for name, (method, _) in plan.jobs.items()}
    pixels = "input"
    while pixels in layers.values():  # a layer of this name
        pixels += "'s pixels"
    cells = {layers[name] or pixels: method.cells(model) for name, (method, _) in plan.jobs.items()}
    return to_record({name: layer or pixels for name, layer in layers.items()}, cells)
