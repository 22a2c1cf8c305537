"""Whether what is in a folder is what was written, and whether its inputs are what they were.

A run, a training, a search, a comparison or a study: `verify` reads all that the folder holds and
compares it with the hashes, checksums and counts that were written beside it. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xattn.errors import RunError
from xattn.paths import as_path, joined
from xattn.runs.again import record_again, study_again, training_again
from xattn.runs.guard import reading
from xattn.runs.parquet import read_parquet
from xattn.runs.record import FILES, UNFINISHED
from xattn.runs.tables import records
from xattn.runs.verification import ANNOTATIONS, CHECKPOINT, FILE, TABLE, Verification
from xattn.runs.verify_run import verify_run

Progress = Callable[[int, int], None]
"""Called as progress(done, total)."""


def verify(
    folder: str | Path, *, images: str = "touched", progress: Progress | None = None
) -> Verification:
    """Compare a folder with what was written about it: inputs by their hashes, outputs by theirs.

    Args:
        folder: of a run, a training, a search, a comparison or a study.
        images: which images are read and hashed: those that were "touched" since (another size
            or time), or "all".
        progress: called as progress(done, total) with images of a run.

    Returns:
        What is as it was, what differs, and what could not be compared.

    Raises:
        RunError: the folder is none of these, or is being written.

    Examples:
        >>> xattn.verify("xattn-run").differs
        []
    """
    path = as_path(folder, "a folder of results")
    with reading(path):
        for name, kind, look in _KINDS:
            if (path / name).is_file():
                found = Verification(path, kind)
                look(found, images, progress)
                _verify_records(found)
                return found
    raise RunError(
        f"Expected a folder of a run, training, search, comparison or study, but got {path}, which "
        f"holds none of {', '.join(name for name, _, _ in _KINDS)}"
    )


def _verify_records(found: Verification) -> None:
    """Compare each record with the files that it names."""
    for name in records():
        path = found.path / name
        if not path.is_file():
            continue
        facts, again = found.record(path), f"repeat {record_again(found.path, name)}"
        if facts.get(UNFINISHED):
            found.differs.append(f"{name}: the command that writes it was stopped; {again}")
        elif facts and FILES not in facts:
            found.unknown.append(f"tables of {name}: no hash of them was written")
        for file, sha256 in facts.get(FILES, {}).items():
            kind = TABLE if file.endswith(".csv") else FILE
            if not (found.path / file).is_file():
                found.differs.append(f"{file}: it is not there; {again}")
            else:
                found.same_file(found.path / file, sha256, file, again, kind)
        if annotations := facts.get("annotations_sha256"):
            place = _from_call(facts, found.path, facts["annotations"])
            found.same_file(place, annotations, f"annotations of {name}", again, ANNOTATIONS)


def _from_call(facts: dict[str, Any], folder: Path, named: str) -> Path:
    """Return where a file lies: as it was called, else beside the folder."""
    return Path(named) if Path(named).is_file() else joined(folder.absolute().parent, named)


def _verify_training(found: Verification, _images: str, _progress: Progress | None) -> None:
    again = f"repeat {training_again(found.path)}"
    facts = found.record(found.path / "train.json")
    if facts:
        for name, key, kind in (
            (facts["checkpoint"], "checkpoint_sha256", CHECKPOINT),
            ("splits.csv", "splits_sha256", FILE),
        ):
            if not (found.path / name).is_file():
                found.differs.append(f"{name}: it is not there; {again}")
            else:
                found.same_file(found.path / name, facts.get(key), name, again, kind)
        place = found.path.absolute().parent / facts["annotations"]
        known = facts.get("annotations_sha256")
        found.same_file(place, known, "annotations", again, ANNOTATIONS)
    with found.reading("predictions.parquet"):
        read_parquet(found.path / "predictions.parquet", again)


def _verify_search(found: Verification, images: str, progress: Progress | None) -> None:
    found.record(found.path / "search.json")
    trials = sorted(path.parent for path in (found.path / "trials").glob("*/train.json"))
    for trial in trials:
        one = Verification(trial, "training")
        # Of trials that are not the best the weights are not kept.
        if (trial / "model.pt").is_file():
            _verify_training(one, images, progress)
        else:
            one.record(trial / "train.json")
        for kind, names in one.parts.items():
            own = names if kind == ANNOTATIONS else {f"{trial.name}: {name}" for name in names}
            found.parts.setdefault(kind, set()).update(own)
        found.checked += [f"{trial.name}: {line}" for line in one.checked]
        found.differs += [f"{trial.name}: {line}" for line in one.differs]
        found.unknown += [f"{trial.name}: {line}" for line in one.unknown]


def _verify_comparison(found: Verification, _images: str, _progress: Progress | None) -> None:
    """Nothing but its record, which is compared as all records are."""


def _verify_study(found: Verification, _images: str, progress: Progress | None) -> None:
    found.record(found.path / "study.json")
    again, redo = study_again(found.path), study_again(found.path, "--redo")
    steps = sorted((found.path / "steps").glob("*.json"))
    for number, path in enumerate(steps, start=1):
        step = path.stem.replace("--", "/")
        facts = found.record(path, step)
        if facts and not facts.get("done"):
            found.unknown.append(f"{step}: it is not done")
        for name, sha256 in facts.get("files", {}).items():
            file = found.path / name
            if not file.is_file():
                found.differs.append(f"{step}: {file} is not there; repeat {again}")
            else:
                kind = TABLE if file.suffix == ".csv" else FILE
                found.same_file(file, sha256, step, f"repeat {redo}", kind)
        if progress is not None:
            progress(number, len(steps))


_KINDS = (
    ("study.json", "study", _verify_study),
    ("search.json", "search", _verify_search),
    ("train.json", "training", _verify_training),
    ("run.json", "run", verify_run),
    ("comparison.json", "comparison", _verify_comparison),
)
"""What marks a folder, what it is then, and what looks at it."""
