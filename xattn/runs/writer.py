"""Writing a run folder so that a kill at any moment loses at most the batch in flight.

Each batch is put down as three small files under RUN/.progress, the last of which commits it;
`finish` gathers them into the tables and the map store. Gathering is a function of the batches
alone, so a run that was killed and repeated ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.documents import read_json
from xattn.errors import RunError
from xattn.runs.atomic import replacing
from xattn.runs.columns import COLUMNS
from xattn.runs.folder import RunFolder, read_settings
from xattn.runs.places import PLACES, joined_record

IDENTITY = (
    "checkpoint_sha256", "weights", "classes", "preprocessing", "methods", "target", "target_layer",
)  # fmt: skip
"""Settings that two calls must share to write into one run folder."""

UNSAID = {"weights": "raw"}
"""What runs mean that were written before a setting was recorded."""


@dataclass
class RunWriter:
    """Collects batches of one run.

    Attributes:
        path: the run folder.
        settings: content of run.json.
        files_done: what need not be done again.
        ids_done: file of each image that was done, by its id.
    """

    path: Path
    settings: dict[str, Any]
    files_done: set[str] = field(default_factory=set)
    ids_done: dict[str, str] = field(default_factory=dict)
    _next: int = 0

    @classmethod
    def start(cls, path: str | Path, settings: Mapping[str, Any]) -> RunWriter:
        """Begin a run in `path`, or go on with the one that is there.

        Raises:
            RunError: the folder holds a run of other settings, or is no folder to write in.
        """
        writer = cls(Path(path), dict(settings))
        if writer.path.exists() and not writer.path.is_dir():
            raise RunError(f"Expected a folder to write into, but got the file {path}")
        old = writer._stored_settings()
        if old is not None:
            writer._require_same(old)
        try:
            writer._progress.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise RunError(f"Expected to write into {path}, but got: {err.strerror}") from err
        writer._tidy_up()
        if old is None:
            writer._write_settings(writer.settings)
        else:
            writer.settings = {**writer.settings, **{k: old[k] for k in IDENTITY if k in old}}
        writer._take_stock()
        if old is not None:
            done = len(writer.ids_done)
            writer.settings |= joined_record(old, writer.settings, writer.path, done)
        return writer

    def commit(
        self,
        rows: Sequence[Mapping[str, Any]],
        maps: Mapping[str, NDArray[np.float32]],
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Put one batch down for good: a row and a map per method and image, and what failed.

        Args:
            rows: predictions, one mapping per image that was done.
            maps: method -> float32 (len(rows), h, w), unnormalised.
            errors: mappings with file, stage and error, one per image that could not be done.
        """
        counts = {method: len(values) for method, values in maps.items()}
        if any(count != len(rows) for count in counts.values()):
            raise ValueError(f"Expected {len(rows)} maps of each method, but got {counts}")
        stem = self._progress / f"batch-{self._next:06d}"
        if rows:
            with replacing(stem.with_suffix(".npz")) as scratch, scratch.open("wb") as f:
                arrays: dict[str, Any] = {k: np.asarray(m, np.float32) for k, m in maps.items()}
                np.savez(f, **arrays)
            with replacing(stem.with_suffix(".parquet")) as scratch:
                pd.DataFrame(list(rows)).to_parquet(scratch, index=False)
        with replacing(stem.with_suffix(".json")) as scratch:
            scratch.write_text(json.dumps({"rows": len(rows), "errors": list(errors)}))
        self._next += 1

    def finish(self, **facts: Any) -> RunFolder:
        """Gather all batches into predictions.parquet, maps.zarr, errors.csv and run.json.

        Args:
            facts: what is known only at the end (timings), added to run.json beside the counts.

        Raises:
            RunError: not one image was done; errors.csv is written all the same.
        """
        before, parts, errors = self._finished_rows(), self._new_parts(), self._all_errors()
        frames = ([] if before is None else [before]) + list(parts.values())
        if not frames:
            self._write_errors(errors)
            self._drop_progress()  # so that a second call tries the files again
            first = f": {errors['error'].iloc[0]}" if len(errors) else ""
            raise RunError(f"Not one image could be done, see {self.path / 'errors.csv'}{first}")
        rows = pd.concat(frames, ignore_index=True)
        if parts:
            self._gather_maps(0 if before is None else len(before), list(parts))
            with replacing(self.path / "predictions.parquet") as scratch:
                rows.to_parquet(scratch, index=False)
        # A file that failed before and was mended since is no error any more.
        errors = errors[~errors["file"].isin(rows["file"])]
        self._write_errors(errors)
        counts = {"images": len(rows) + len(errors), "done": len(rows), "skipped": len(errors)}
        old = self._stored_settings() or {}
        if parts or "counts" not in old:
            self._write_settings({**self.settings, "counts": counts, **facts})
        else:  # nothing new was done: the record of how it was done stays
            places = {k: self.settings[k] for k in PLACES if k in self.settings}
            self._write_settings({**old, **places, "counts": counts})
        self._drop_progress()
        return RunFolder.open(self.path)

    @property
    def _progress(self) -> Path:
        return self.path / ".progress"

    @property
    def _gone(self) -> Path:
        return self.path / ".progress.gone"

    @property
    def _maps(self) -> Path:
        return self.path / "maps.zarr"

    @property
    def _old_maps(self) -> Path:
        return self.path / ".maps.zarr.old"

    def _commits(self) -> dict[Path, dict[str, Any]]:
        """Read what the committed batches say, by path without ending, in order."""
        paths = sorted(self._progress.glob("batch-*.json"))
        return {path.with_suffix(""): read_json(path, error=RunError) for path in paths}

    def _new_parts(self) -> dict[Path, pd.DataFrame]:
        """Read the rows of the batches that are not in the table yet.

        A kill between the table's replacement and the end leaves batches that are already in it.
        """
        stems = [stem for stem, content in self._commits().items() if content["rows"]]
        parts = {stem: pd.read_parquet(stem.with_suffix(".parquet")) for stem in stems}
        before = self._finished_rows()
        known = set() if before is None else set(before["file"])
        return {stem: rows for stem, rows in parts.items() if rows["file"].iloc[0] not in known}

    def _all_errors(self) -> pd.DataFrame:
        """Put together the errors of earlier calls and of this one, the latest of each file."""
        failures = [e for content in self._commits().values() for e in content["errors"]]
        errors = pd.DataFrame(failures, columns=list(COLUMNS["errors"]))
        path = self.path / "errors.csv"
        if path.is_file():
            errors = pd.concat([pd.read_csv(path, keep_default_na=False), errors])
        return errors.drop_duplicates("file", keep="last")

    def _stored_settings(self) -> dict[str, Any] | None:
        path = self.path / "run.json"
        if not path.is_file():
            return None
        return read_settings(path)

    def _require_same(self, old: Mapping[str, Any]) -> None:
        for key in IDENTITY:
            unsaid = UNSAID.get(key)
            was, now = old.get(key, unsaid), self.settings.get(key, unsaid)
            if was != now:
                raise RunError(
                    f"Expected {key} {_short(was)} as in the run folder {self.path}, but got "
                    f"{_short(now)}; name another folder with --out"
                )

    def _take_stock(self) -> None:
        """Learn what earlier calls did: images in the tables and in committed batches."""
        before = self._finished_rows()
        for rows in ([] if before is None else [before]) + list(self._new_parts().values()):
            self.ids_done |= dict(zip(rows["image_id"], rows["file"], strict=True))
        self.files_done |= set(self.ids_done.values())
        for stem, content in self._commits().items():
            self._next = int(stem.name.removeprefix("batch-")) + 1
            # An image that failed is not tried again within the run that is going on: its
            # batch mates must keep the company they had.
            self.files_done |= {e["file"] for e in content["errors"]}

    def _tidy_up(self) -> None:
        """Put right what a kill within `finish` left."""
        shutil.rmtree(self._gone, ignore_errors=True)
        if self._old_maps.is_dir() and not self._maps.is_dir():
            self._old_maps.rename(self._maps)
        shutil.rmtree(self._old_maps, ignore_errors=True)

    def _drop_progress(self) -> None:
        # Renamed first: half of it would be worse than all or nothing.
        self._progress.rename(self._gone)
        shutil.rmtree(self._gone)

    def _finished_rows(self) -> pd.DataFrame | None:
        path = self.path / "predictions.parquet"
        return pd.read_parquet(path) if path.is_file() else None

    def _gather_maps(self, n_before: int, parts: Sequence[Path]) -> None:
        import zarr

        scratch = self.path / ".maps.zarr.part"
        shutil.rmtree(scratch, ignore_errors=True)
        zarr.create_group(scratch)
        for method in self.settings["methods"]:
            # One method at a time: the store may be far larger than memory allows for all.
            pieces = [np.load(p.with_suffix(".npz"))[method] for p in parts]
            if n_before:
                old = zarr.open_array(self._maps / method, mode="r")
                pieces.insert(0, np.asarray(old[:n_before], dtype=np.float32))
            data = np.concatenate(pieces)
            rows = max(1, min(len(data), 2**22 // max(1, data[0].nbytes)))
            array = zarr.create_array(
                scratch / method, shape=data.shape, chunks=(rows, *data.shape[1:]), dtype="float32"
            )
            array[:] = data
        if self._maps.is_dir():
            self._maps.rename(self._old_maps)
        scratch.rename(self._maps)
        shutil.rmtree(self._old_maps, ignore_errors=True)

    def _write_errors(self, errors: pd.DataFrame) -> None:
        with replacing(self.path / "errors.csv") as scratch:
            errors.to_csv(scratch, index=False, lineterminator="\n")

    def _write_settings(self, values: Mapping[str, Any]) -> None:
        with replacing(self.path / "run.json") as scratch:
            scratch.write_text(json.dumps(values, indent=2, sort_keys=False) + "\n")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
