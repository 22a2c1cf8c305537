"""Whether a run folder is whole: its rows, maps and masks belong together, and so do its inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from xattn.errors import RunError
from xattn.runs.arrays import StoredArray
from xattn.runs.atomic import read_record
from xattn.runs.folder import RunFolder
from xattn.runs.inputs import Stamp, read_stamps
from xattn.runs.parquet import read_parquet
from xattn.runs.record import predictions_sha256
from xattn.runs.verification import Verification

_NAMED = 5
_USAGE = "repeat `xattn feature-usage`"


def verify_run(
    found: Verification, images: str = "touched", progress: Callable[[int, int], None] | None = None
) -> None:
    """Look at all that a run folder holds; see `verify`."""
    run = RunFolder(found.path)
    with found.reading("run.json"):
        settings = run.settings
    if found.differs:
        return
    with found.reading("predictions.parquet"):
        run = RunFolder.open(found.path)
        _require_once(run.predictions, ("image_id", "file"))
    if found.differs:
        return
    if (found.path / ".progress").is_dir():
        found.unknown.append("batches of a call that was stopped; repeat `xattn explain`")
    for method in run.methods:
        with found.reading(f"maps of {method}"):
            run.map_array(method).check()
            if not run.map_array(method).checked:
                found.unknown.append(f"maps of {method}: written before there were checksums")
    _verify_overlays(found, run)
    _verify_features(found, run)
    with found.reading("analysis of these predictions"):
        _require_of(run)
    for name in ("mask_scores.parquet", "faithfulness.parquet"):
        if (found.path / name).is_file():
            with found.reading(name):
                read_parquet(found.path / name, "repeat the command that writes it")
    if file := settings.get("checkpoint_file"):
        place = found.path.absolute().parent / str(file)
        if (place / "model.pt").is_file():  # the folder of a training was named
            place = place / "model.pt"
        again = "what it made can be made again by no other; explain anew into another folder"
        found.same_file(place, settings.get("checkpoint_sha256"), "checkpoint", again)
    _verify_images(found, run, images, progress)


def _require_of(run: RunFolder) -> None:
    """Make sure that the analysis, if there is one, is of the predictions that are there."""
    path = run.path / "analysis.json"
    known = read_record(path).get("predictions_sha256") if path.is_file() else None
    if known is not None and known != predictions_sha256(run.predictions):
        raise RunError(f"Expected those that {path} is of, but got others; {_USAGE}")


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
        differs = (
            f"overlays of {method}: {len(missing)} are missing ({_shown(missing)}); delete "
            f"{run.path / 'maps.zarr' / method} and repeat `xattn explain`"
        )
        found.require(not missing, f"overlays of {method}", differs)


def _verify_features(found: Verification, run: RunFolder) -> None:
    if not (run.path / "features.json").is_file():
        return
    with found.reading("features"):
        facts = read_record(run.path / "features.json")
        table = read_parquet(run.path / "features.parquet", _USAGE)
        if list(table["image_id"]) != list(run.predictions["image_id"]):
            raise RunError(f"Expected the images of predictions.parquet, but got others; {_USAGE}")
        for name in facts["masked"]:
            masks = StoredArray(run.path / "masks.zarr" / name, _USAGE)
            masks.check()
            if len(masks) != len(table):
                raise RunError(
                    f"Expected {len(table)} masks of {name!r}, but got {len(masks)}; {_USAGE}"
                )


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
        stamp, path = stamps.get(file), run.path / str(run.settings["base"]) / str(file)
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
    differs = (
        f"images: {len(changed)} of {seen} are others now ({_shown(changed)}); repeat "
        "`xattn explain`, which does them again"
    )
    if seen:
        found.require(not changed, f"{seen} images", differs)


def _shown(names: list[Path | str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + more
