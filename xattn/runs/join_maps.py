"""Maps of a run put together row by row: those of the folder and those of a call's batches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from xattn.disk import writing_to
from xattn.errors import RunError
from xattn.runs.arrays import StoredArray, create_array
from xattn.runs.batches import Batch


@dataclass(frozen=True)
class MapSources:
    """Where the maps of a run's images are.

    Attributes:
        folder: the run folder.
        before: its table before the call; None if there is none.
        stored: methods that it holds maps of.
        batches: of the call.
    """

    folder: Path
    before: pd.DataFrame | None
    stored: Sequence[str]
    batches: Sequence[Batch]

    def write_all(self, rows: pd.DataFrame, methods: Sequence[str]) -> None:
        """Write the maps of all methods anew, and put them in place of those that are there.

        Raises:
            RunError: the maps that are there do not match the table.
        """
        names = (".maps.zarr.part", "maps.zarr", ".maps.zarr.old")
        scratch, maps, old = (self.folder / name for name in names)
        shutil.rmtree(scratch, ignore_errors=True)
        zarr.create_group(scratch)
        for method in methods:
            # One method at a time: the store may be far larger than memory allows for all.
            _write(scratch / method, self._stack(rows, method))
        if maps.is_dir():
            maps.rename(old)
        scratch.rename(maps)
        shutil.rmtree(old, ignore_errors=True)

    def write_added(self, rows: pd.DataFrame, methods: Sequence[str]) -> None:
        """Write the maps of methods that were added, beside those of the others.

        Raises:
            RunError: some image has no map of one.
        """
        scratch, maps = self.folder / ".maps.zarr.part", self.folder / "maps.zarr"
        shutil.rmtree(scratch, ignore_errors=True)
        zarr.create_group(scratch)
        if not maps.is_dir():
            zarr.create_group(maps)
        for method in methods:
            if any(batch.files and method in batch.methods for batch in self.batches):
                _write(scratch / method, self._stack(rows, method))
                shutil.rmtree(maps / method, ignore_errors=True)
                (scratch / method).rename(maps / method)
        shutil.rmtree(scratch)

    def _stack(self, rows: pd.DataFrame, method: str) -> NDArray[np.float32]:
        """Return the maps of one method, row by row of the table; the latest of each image."""
        files: list[str] = []
        pieces: list[NDArray[np.float32]] = []
        if self.before is not None and method in self.stored:
            path = self.folder / "maps.zarr" / method
            old = StoredArray(path, "delete it and repeat")
            if len(old) < len(self.before):
                raise RunError(
                    f"Expected {len(self.before)} maps of {method!r} in {self.folder}, as its "
                    f"table has rows, but got {len(old)}; delete {path} and repeat"
                )
            # A kill while images were added can leave maps whose rows are not in the table yet.
            pieces.append(np.asarray(old[: len(self.before)], dtype=np.float32))
            files += list(self.before["file"])
        for batch in self.batches:
            if batch.files and method in batch.methods:
                pieces.append(batch.maps(method))
                files += batch.files
        place = {file: i for i, file in enumerate(files)}
        lacking = [file for file in rows["file"] if file not in place]
        if lacking:
            raise RunError(
                f"Expected a map of {method!r} for each image in {self.folder}, but "
                f"{len(lacking)} lack it, {lacking[0]} among them; repeat the command"
            )
        data = np.concatenate(pieces)
        take = [place[file] for file in rows["file"]]
        return data if take == list(range(len(data))) else data[take]


def _write(path: Path, data: NDArray[np.float32]) -> None:
    rows = max(1, min(len(data), 2**22 // max(1, data[0].nbytes)))
    with writing_to(path):
        array = create_array(path, data.shape, (rows, *data.shape[1:]), "float32")
        array[:] = data


def restore_maps(folder: Path) -> None:
    """Put right what a kill within `write_all` left."""
    maps, old = folder / "maps.zarr", folder / ".maps.zarr.old"
    if old.is_dir() and not maps.is_dir():
        old.rename(maps)
    shutil.rmtree(old, ignore_errors=True)
