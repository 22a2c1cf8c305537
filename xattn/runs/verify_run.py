"""Whether a run folder is whole: its rows, maps and masks belong together, and so do its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from xattn.errors import RunError
from xattn.paths import joined
from xattn.runs.again import record_again, run_again, written_anew
from xattn.runs.arrays import StoredArray
from xattn.runs.folder import RunFolder
from xattn.runs.inputs import Stamp, read_stamps
from xattn.runs.parquet import read_parquet
from xattn.runs.verification import CHECKPOINT, IMAGE, MAPS, MASKS, OVERLAYS, Verification

_NAMED = 5
_REST = (
    "overlays, features and their masks, images, and whether the analysis is of these predictions"
)
"""What is compared row by row with the predictions."""


def verify_run(
    found: Verification, images: str = "touched", progress: Callable[[int, int], None] | None = None
) -> None:
    """Look at all that a run folder holds; see `verify`."""
    settings = found.record(found.path / "run.json")
    if not settings:
        found.unknown.append(f"maps, {_REST}: not compared, for run.json cannot be read")
        return
    if (found.path / ".progress").is_dir():
        again = run_again(found.path, last=True)
        found.unknown.append(f"batches of a call that was stopped; repeat {again}")
    _verify_checkpoint(found, settings)
    run, rows = RunFolder(found.path), False
    with found.reading("predictions.parquet"):
        run = RunFolder.open(found.path)
        _require_once(run.predictions, ("image_id", "file"))
        rows = True
    for method in run.methods:
        _verify_maps(found, run, method, rows)
    _verify_other_tables(found)
    if not rows:
        found.unknown.append(
            f"{_REST}, and how many maps there are: not compared, for predictions.parquet differs"
        )
        return
    _verify_overlays(found, run)
    if outdated := run.outdated_analysis():
        found.differs.append(f"analysis.json: {outdated}")
    _verify_features(found, run, of_these=not outdated)
    _verify_images(found, run, images, progress)


def _verify_checkpoint(found: Verification, settings: Mapping[str, Any]) -> None:
    file = settings.get("checkpoint_file")
    if not file:
        return
    place = joined(found.path.absolute().parent, str(file))
    if (place / "model.pt").is_file():  # the folder of a training was named
        place = place / "model.pt"
    again = "what it made can be made again by no other; explain anew into another folder"
    known = settings.get("checkpoint_sha256")
    found.same_file(place, known, "checkpoint", again, CHECKPOINT)


def _verify_maps(found: Verification, run: RunFolder, method: str, rows: bool) -> None:
    """Read all maps of a method; as many as images, where these are known (`rows`)."""
    name = f"maps of {method}"
    with found.reading(name, MAPS):
        maps = run.map_array(method) if rows else run.stored_maps(method)
        maps.check()
        if not maps.checked:
            found.unknown.append(f"{name}: written before there were checksums")


def _verify_other_tables(found: Verification) -> None:
    """Read the scores of single images, which no row of the predictions has to stand beside."""
    for name, record in (
        ("mask_scores.parquet", "analysis.json"),
        ("faithfulness.parquet", "faithfulness.json"),
    ):
        if (found.path / name).is_file():
            with found.reading(name):
                read_parquet(found.path / name, f"repeat {record_again(found.path, record)}")


def _require_once(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    for column in columns:
        twice = table[column][table[column].duplicated()]
        if len(twice):
            raise RunError(
                f"Expected each {column} once, but {twice.iloc[0]!r} stands twice"
                "; explain anew into another folder"
            )


def _verify_overlays(found: Verification, run: RunFolder) -> None:
    """Look whether each image has its overlay; what is in one, nothing reads."""
    ending = {"png": ".png", "jpeg": ".jpg"}.get(run.settings.get("overlay", ""), "")
    for method in run.methods if ending else ():
        folder = run.path / "overlays" / method
        missing = [
            i for i in run.predictions["image_id"] if not (folder / f"{i}{ending}").is_file()
        ]
        if not missing:
            found.same(f"overlays of {method}", OVERLAYS)
            continue
        found.differs.append(
            f"overlays of {method}: {len(missing)} are missing ({_shown(missing)}); delete "
            f"{run.path / 'maps.zarr' / method} and repeat {run_again(run.path, last=True)}"
        )


def _verify_features(found: Verification, run: RunFolder, of_these: bool) -> None:
    """Read features and masks; of the run's images, where the analysis is of these."""
    if not (run.path / "features.json").is_file():
        return
    facts, again = found.record(run.path / "features.json"), written_anew(run.path)
    n = len(run.predictions)
    with found.reading("features.parquet"):
        table = read_parquet(run.path / "features.parquet", again)
        n = len(table)
        if of_these and list(table["image_id"]) != list(run.predictions["image_id"]):
            raise RunError(f"Expected the images of predictions.parquet, but got others; {again}")
    for name in facts.get("masked", ()):
        with found.reading(f"masks of {name}", MASKS):
            masks = StoredArray(run.path / "masks.zarr" / name, again)
            masks.check()
            if len(masks) != n:
                raise RunError(f"Expected {n} masks of {name!r}, but got {len(masks)}; {again}")


def _verify_images(
    found: Verification,
    run: RunFolder,
    images: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    stamps: dict[str, Stamp] = {}
    with found.reading("inputs.parquet"):
        stamps = read_stamps(run.path / "inputs.parquet")
    files = list(run.predictions["file"])
    changed, gone = [], []
    for number, file in enumerate(files, start=1):
        stamp, path = stamps.get(file), joined(run.path / str(run.settings["base"]), str(file))
        if stamp is not None:
            try:
                same = (
                    Stamp.of(path).sha256 == stamp.sha256 if images == "all" else stamp.fits(path)
                )
                changed += [] if same else [file]
            except OSError:
                gone.append(file)
        if progress is not None:
            progress(number, len(files))
    if unknown := [file for file in files if file not in stamps]:
        found.unknown.append(f"images: what {len(unknown)} of {len(files)} were was not written")
    if gone:
        found.unknown.append(f"images: {len(gone)} cannot be read ({_shown(gone)})")
    seen = len(files) - len(gone) - len(unknown)
    if changed:
        found.differs.append(
            f"images: {len(changed)} of {seen} are others now ({_shown(changed)}); repeat "
            f"{run_again(run.path)}, which does them again"
        )
    elif seen:
        found.same(f"{seen} images", IMAGE, {file for file in files if file in stamps} - {*gone})


def _shown(names: list[Path | str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more
