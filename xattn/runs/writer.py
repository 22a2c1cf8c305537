"""Writing a run folder so that a kill at any moment loses at most the batch in flight.

Each batch is committed under RUN/.progress; `finish` gathers them into the tables and the map
store. Gathering is a function of what is there and of the batches, so a run that was killed and
repeated ends with the same bytes as one that was not. A finished run is added to in the same way:
images, methods for images that are there, labels, and images that were replaced.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.disk import writing_to
from xattn.errors import RunError
from xattn.runs.atomic import write_json
from xattn.runs.batches import Batch, number_of, read_batches, write_batch
from xattn.runs.folder import REPLACING, RunFolder, read_predictions
from xattn.runs.gather import Gathered, gather_rows
from xattn.runs.identity import join_settings, kept, require_same
from xattn.runs.inputs import Stamp, read_stamps, write_stamps
from xattn.runs.join_maps import MapSources, restore_maps
from xattn.runs.parquet import write_parquet
from xattn.runs.places import PLACES, joined_record
from xattn.runs.table_folder import read_settings
from xattn.runs.tables.errors import ERRORS


@dataclass
class RunWriter:
    """Collects batches of one run.

    Attributes:
        path: the run folder.
        settings: content of run.json, `methods` being those that the run has in the end.
        files_done: what need not be done again.
        ids_done: file of each image that was done, by its id.
        stamps: what the files were that were done, as far as it is known.
        versions: of the packages of this call.
        notes: what was found of earlier calls.
    """

    path: Path
    settings: dict[str, Any]
    files_done: set[str] = field(default_factory=set)
    ids_done: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _have: dict[str, set[str]] = field(default_factory=dict)
    _rows: dict[str, dict[Hashable, Any]] = field(default_factory=dict)
    _labels: dict[str, str] = field(default_factory=dict)
    _replaces: set[str] = field(default_factory=set)
    _next: int = 0

    @classmethod
    def start(
        cls, path: str | Path, settings: Mapping[str, Any], identity: Sequence[str] = ()
    ) -> RunWriter:
        """Begin a run in `path`, or go on with the one that is there.

        Args:
            path: the run folder.
            settings: of this call, as run.json stores them.
            identity: keys that a run that is there must share, beside those of its model.

        Raises:
            RunError: the folder holds a run of other settings, or is no folder to write in.
            DiskError: the folder cannot be written.
        """
        writer = cls(Path(path), dict(settings), versions=settings.get("versions", {}))
        if writer.path.exists() and not writer.path.is_dir():
            raise RunError(f"Expected a folder to write into, but got the file {path}")
        old = writer._stored_settings()
        if old is not None:
            require_same(old, writer.settings, writer.path, identity)
        with writing_to(path, "write into"):
            writer._progress.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(writer._gone, ignore_errors=True)
        restore_maps(writer.path)
        if old is None:
            write_json(writer._record, writer.settings)
        else:
            methods = list(dict.fromkeys([*old["methods"], *settings["methods"]]))
            writer.settings = {**writer.settings, **kept(old, identity), "methods": methods}
        writer._take_stock()
        if old is not None:
            done = len(writer.ids_done)
            writer.settings |= joined_record(old, writer.settings, writer.path, done)
            writer.settings = join_settings(writer.settings, old)
        return writer

    def missing(self, file: str) -> tuple[str, ...]:
        """Return the methods of the run whose map of an image that was done is not there."""
        have = self._have.get(file, set(self.settings["methods"]))
        return tuple(name for name in self.settings["methods"] if name not in have)

    def redo(self, file: str) -> None:
        """Have a file done again; what was done of it is replaced."""
        self.files_done.discard(file)
        self._have.pop(file, None)
        self._replaces.add(file)

    def label(self, labels: Mapping[str, str | None]) -> tuple[list[str], dict[str, str]]:
        """Take labels over for images that are there; without one, an image keeps its own.

        Args:
            labels: by image id.

        Returns:
            Ids of images whose label was not known, and the earlier label of those that change.
        """
        filled, changed = [], {}
        for row in self._rows.values():
            id_, own = row["image_id"], row["label"]
            new = labels.get(id_)
            if new is None or new == own:
                continue
            self._labels[id_] = new
            if pd.isna(own):
                filled.append(str(id_))
            else:
                changed[str(id_)] = str(own)
        return filled, changed

    def row(self, file: str) -> Mapping[Hashable, Any]:
        """Return the row of an image that was done."""
        return self._rows[file]

    def commit(
        self,
        rows: Sequence[Mapping[str, Any]],
        maps: Mapping[str, NDArray[np.float32]],
        errors: Sequence[Mapping[str, str]] = (),
        stamps: Mapping[str, Stamp] | None = None,
        adds: bool = False,
    ) -> None:
        """Write one batch for good: a row and a map per method and image, and what failed.

        Args:
            rows: predictions, one mapping per image that was done.
            maps: method -> float32 (len(rows), h, w), unnormalised.
            errors: mappings with file, stage and error, one per image that could not be done.
            stamps: what the files were, by name.
            adds: the images are there, and these maps are added to them.
        """
        counts = {method: len(values) for method, values in maps.items()}
        if any(count != len(rows) for count in counts.values()):
            raise ValueError(f"Expected {len(rows)} maps of each method, but got {counts}")
        replaces = sorted(self._replaces.intersection(str(row["file"]) for row in rows))
        batch = {"errors": list(errors), "adds": adds, "replaces": replaces}
        write_batch(self._progress, self._next, rows, maps, stamps or {}, batch)
        self._next += 1

    def finish(self, **facts: Any) -> RunFolder:
        """Gather all batches into predictions.parquet, maps.zarr, errors.csv and run.json.

        Args:
            facts: what is known only at the end (timings), added to run.json beside the counts.

        Raises:
            RunError: not one image was done (errors.csv is written all the same), an id stands
                twice, or the maps do not match the table.
        """
        batches, damaged = read_batches(self._progress)
        if damaged:
            raise RunError(
                f"Expected whole batches in {self._progress}, but got {damaged} damaged"
                "; repeat the command to have them done again"
            )
        errors = self._all_errors(batches)
        before = self._finished_rows()
        gathered = gather_rows(before, batches, self._methods, self._labels)
        if not len(gathered.rows):
            RunFolder(self.path).write_table("errors", errors)
            self._drop_progress()  # so that a second call tries the files again
            first = f": {errors['error'].iloc[0]}" if len(errors) else ""
            raise RunError(f"Not one image could be done, see {self.path / 'errors.csv'}{first}")
        gathered.require_unique_ids(self.path)
        self._write_results(gathered, before, batches)
        rows = gathered.rows
        # A file that failed before and was mended since is no error any more.
        errors = errors[~errors["file"].isin(rows["file"])]
        RunFolder(self.path).write_table("errors", errors)
        counts = {"images": len(rows) + len(errors), "done": len(rows), "skipped": len(errors)}
        old = self._stored_settings() or {}
        if gathered.changed or "counts" not in old:
            write_json(self._record, {**self.settings, "counts": counts, **facts})
        else:  # nothing new was done: the record of how it was done stays
            told = (*PLACES, "left_out", *(["calls"] if gathered.relabelled else []))
            same = {k: self.settings[k] for k in told if k in self.settings}
            write_json(self._record, {**old, **same, "counts": counts})
        self._drop_progress()
        return RunFolder.open(self.path)

    def _write_results(
        self, gathered: Gathered, before: pd.DataFrame | None, batches: Sequence[Batch]
    ) -> None:
        mark = self.path / REPLACING
        maps = MapSources(self.path, before, self._stored_methods(), batches)
        if gathered.replaces:  # between the two, maps and table are not of the same images
            mark.touch()
        if gathered.new_rows:
            maps.write_all(gathered.rows, self._methods)
        elif gathered.changed:
            maps.write_added(gathered.rows, self._methods)
        if gathered.changed or gathered.relabelled:
            write_parquet(gathered.rows, self.path / "predictions.parquet")
        mark.unlink(missing_ok=True)
        files = set(gathered.rows["file"])
        stamps = {file: one for file, one in self._all_stamps(batches).items() if file in files}
        if stamps != read_stamps(self._inputs):
            write_stamps(self._inputs, stamps)

    @property
    def _methods(self) -> list[str]:
        return list(self.settings["methods"])

    @property
    def _progress(self) -> Path:
        return self.path / ".progress"

    @property
    def _gone(self) -> Path:
        return self.path / ".progress.gone"

    @property
    def _record(self) -> Path:
        return self.path / "run.json"

    @property
    def _inputs(self) -> Path:
        return self.path / "inputs.parquet"

    def _all_errors(self, batches: Sequence[Batch]) -> pd.DataFrame:
        """Put together the errors of earlier calls and of this one, the latest of each file."""
        failures = [error for batch in batches for error in batch.errors]
        errors = pd.DataFrame(failures, columns=list(ERRORS.promised))
        folder = RunFolder(self.path)
        if folder.has_table("errors"):
            errors = pd.concat([folder.table("errors").fillna(""), errors])
        return errors.drop_duplicates("file", keep="last")

    def _all_stamps(self, batches: Sequence[Batch]) -> dict[str, Stamp]:
        stamps = {**read_stamps(self._inputs), **self.stamps}
        for batch in batches:
            stamps |= batch.stamps
        return stamps

    def _stored_settings(self) -> dict[str, Any] | None:
        return read_settings(self._record) if self._record.is_file() else None

    def _stored_methods(self) -> list[str]:
        """Return the methods whose maps the finished part of the run has."""
        if self._finished_rows() is None:
            return []
        names = (self._stored_settings() or {}).get("methods", [])
        return [name for name in names if (self.path / "maps.zarr" / name).is_dir()]

    def _take_stock(self) -> None:
        """Learn what earlier calls did: images in the tables and in committed batches."""
        batches, damaged = read_batches(self._progress)
        if damaged:
            what = "batch" if damaged == 1 else "batches"
            self.notes.append(f"{damaged} damaged {what} of an earlier call: done again")
        before, stored = self._finished_rows(), set(self._stored_methods())
        if before is not None:
            self.ids_done |= dict(zip(before["image_id"], before["file"], strict=True))
            self._have |= {file: set(stored) for file in before["file"]}
            self._rows |= {row["file"]: row for row in before.to_dict("records")}
        for batch in batches:
            self._next = number_of(batch) + 1
            for file in batch.files:
                self._have[file] = set(batch.methods) | (self._have[file] if batch.adds else set())
            if batch.files and not batch.adds:
                self.ids_done |= dict(zip(batch.rows["image_id"], batch.files, strict=True))
                self._rows |= {row["file"]: row for row in batch.rows.to_dict("records")}
        self.files_done |= set(self.ids_done.values())
        self.stamps = self._all_stamps(batches)
        for batch in batches:
            # An image that failed is not tried again within the run that is going on: its
            # batch mates must stay in the batch they were in.
            self.files_done |= {error["file"] for error in batch.errors}

    def _drop_progress(self) -> None:
        # Renamed first: half of it would be worse than all or nothing.
        self._progress.rename(self._gone)
        shutil.rmtree(self._gone)

    def _finished_rows(self) -> pd.DataFrame | None:
        path = self.path / "predictions.parquet"
        return read_predictions(path) if path.is_file() else None
