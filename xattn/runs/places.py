"""Where a run's maps lie in what the model sees, as run.json records it.

`"map_layers"` names for each stored map the layer on whose grid it lies, `"cells"` has for each
such layer the places of its cells (`Cells.to_dict`). The input's own pixels are a layer as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xattn.errors import RunError
from xattn.images.cells import Cells
from xattn.runs.another_folder import another_folder

DRAWN_BEFORE = "overlays_spread_evenly"
PLACES = ("cells", "map_layers", DRAWN_BEFORE)
"""Entries of run.json."""


def to_record(layers: Mapping[str, str], cells: Mapping[str, Cells]) -> dict[str, Any]:
    """Return the entries of run.json.

    Args:
        layers: layer by the name of each stored map.
        cells: places by layer.
    """
    return {
        "cells": {layer: placed.to_dict() for layer, placed in cells.items()},
        "map_layers": dict(layers),
    }


def recorded_cells(settings: Mapping[str, Any], method: str) -> Cells | None:
    """Return where the cells of a stored map lie, None where a run.json does not say.

    Raises:
        RunError: what it says are no places.
    """
    layer = settings.get("map_layers", {}).get(method)
    stored = settings.get("cells", {}).get(layer)
    return None if stored is None else Cells.from_dict(stored)


def spread_note(methods: Sequence[str]) -> str:
    """Say of which maps a run does not record the places; "" for none."""
    if not methods:
        return ""
    named = ", ".join(methods[:3]) + (f" and {len(methods) - 3} more" if methods[3:] else "")
    return (
        f"The run does not record where the cells of its maps lie ({named}): they are taken as "
        "spread evenly, which is up to half a cell off for convolutional layers; explain into "
        "another folder to have them in register"
    )


def off_by_spreading(settings: Mapping[str, Any]) -> list[str]:
    """List the stored maps that would lie elsewhere if their cells were spread evenly."""
    placed = {method: recorded_cells(settings, method) for method in settings["methods"]}
    return [method for method, cells in placed.items() if cells is not None and _uneven(cells)]


def joined_record(
    old: Mapping[str, Any], new: Mapping[str, Any], folder: Path, done: int
) -> dict[str, Any]:
    """Return the record of a folder that is gone on with: what it says stays, the rest is added.

    Where an older version made the folder, `"overlays_spread_evenly"` counts the images whose
    overlays it drew before the places were known, if these are elsewhere.

    Args:
        old, new: the folder's run.json, and this call's.
        folder: for the message.
        done: images that the folder holds.

    Raises:
        RunError: the two are not near on a layer (`Cells.is_near`).
    """
    was, now = old.get("cells", {}), new.get("cells", {})
    for layer in was.keys() & now.keys():
        ours, theirs = Cells.from_dict(now[layer]), Cells.from_dict(was[layer])
        if not ours.is_near(theirs):
            raise RunError(
                f"Expected the cells of {layer!r} where the run folder {folder} has them, "
                f"{theirs.ends}, but got {ours.ends}; {another_folder()}"
            )
    for method, layer in old.get("map_layers", {}).items():
        if new.get("map_layers", {}).get(method, layer) != layer:
            raise RunError(
                f"Expected maps of {method!r} on {layer!r} as in the run folder {folder}, but got "
                f"{new['map_layers'][method]!r}; {another_folder()}"
            )
    record: dict[str, Any] = {
        key: {**new.get(key, {}), **old.get(key, {})}
        for key in ("cells", "map_layers")
        if key in new or key in old
    }
    drawn = old.get("methods", []) if old.get("overlay", "png") != "none" else []
    if "cells" not in old and done and off_by_spreading({**new, "methods": drawn}):
        record[DRAWN_BEFORE] = done
    elif DRAWN_BEFORE in old:
        record[DRAWN_BEFORE] = old[DRAWN_BEFORE]
    return record


def _uneven(cells: Cells) -> bool:
    return not cells.is_near(Cells.spread(cells.grid, cells.size))
