"""Maps of a run put together row by row: those of the folder and those of a call's batches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from xattn.errors import RunError
from xattn.runs.arrays import StoredArray
from xattn.runs.batches import Batch
from xattn.runs.pieces import Piece, write_rows


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
            self._write(scratch / method, rows, method)
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
                self._write(scratch / method, rows, method)
                shutil.rmtree(maps / method, ignore_errors=True)
                (scratch / method).rename(maps / method)
        shutil.rmtree(scratch)

    def _write(self, path: Path, rows: pd.DataFrame, method: str) -> None:
        """Write the maps of one method, row by row of the table; the latest of each image."""
        pieces: list[Piece] = []
        if self.before is not None and method in self.stored:
            there = self.folder / "maps.zarr" / method
            old = StoredArray(there, "delete it and repeat the command")
            if len(old) < len(self.before):
                raise RunError(
                    f"Expected {len(self.before)} maps of {method!r} in {self.folder}, as its "
                    f"table has rows, but got {len(old)}; delete {there} and repeat"
                )
            # A kill while images were added can leave maps whose rows are not in the table yet.
            pieces.append(Piece.stored(list(self.before["file"]), old))
        pieces += [
            Piece(batch.files, partial(_of_batch, batch, method))
            for batch in self.batches
            if batch.files and method in batch.methods
        ]
        there_are = {file for piece in pieces for file in piece.files}
        lacking = [file for file in rows["file"] if file not in there_are]
        if lacking:
            raise RunError(
                f"Expected a map of {method!r} for each image in {self.folder}, but "
                f"{len(lacking)} lack it, {lacking[0]} among them; repeat the command"
            )
        write_rows(path, pieces, list(rows["file"]))


def _of_batch(batch: Batch, method: str, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    return batch.maps(method)[rows]


def restore_maps(folder: Path) -> None:
    """Put right what a kill within `write_all` left."""
    maps, old = folder / "maps.zarr", folder / ".maps.zarr.old"
    if old.is_dir() and not maps.is_dir():
        old.rename(maps)
    shutil.rmtree(old, ignore_errors=True)
