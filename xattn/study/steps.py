"""Steps of a study: what each needs, what decides its result, and the record that it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xattn._version import __version__
from xattn.errors import XattnError
from xattn.runs.atomic import read_record, write_json
from xattn.study.inputs import Inputs

Progress = Callable[[int, int], None]


@dataclass
class Telling:
    """What a step says while it runs.

    Attributes:
        progress: called with (done, total).
        notes: what must be known to read its results.
        problems: what it left out.
    """

    progress: Progress
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, text: object) -> None:
        """Take a note, each once."""
        if str(text) not in self.notes:
            self.notes.append(str(text))

    def problem(self, text: object) -> None:
        """Take a problem."""
        self.problems.append(str(text))


@dataclass(frozen=True)
class Step:
    """One step of a study.

    Attributes:
        name: such as "train/resnet18/0".
        run: does it; takes what it tells its progress and the names of the steps whose results it
            takes, returns the files that it wrote.
        settings: what decides the result, as JSON can hold it.
        folder: its own; emptied before the step is done again with other settings. None if it
            adds to the folder of another step, and replaces what it wrote there.
        needs: names of steps that must be done before.
        gathers: names of steps of which those that succeeded are taken, once all are settled.
        resumes: whether it goes on in a folder that a killed attempt left.
        model: recipe of the training that it is of, "" if of several.
        work: images that pass forwards through the network, or another measure of what there is
            to do; for the estimate.
        disk: bytes that it will write, estimated.
        files: identifies inputs from outside the study, by what they hold.
        shared: names of files in its folder that other steps add to.
        lacking: takes the steps that are done, names those for want of which it cannot be done
            though others of those that it gathers are.
        stands: whether what it wrote still leads to files outside the study; what it wrote is then
            no part of what decides the results of others.
    """

    name: str
    run: Callable[[Telling, tuple[str, ...]], list[Path]]
    settings: Mapping[str, Any]
    folder: Path | None = None
    needs: tuple[str, ...] = ()
    gathers: tuple[str, ...] = ()
    resumes: bool = False
    model: str = ""
    work: float = 0.0
    disk: float = 0.0
    files: Callable[[Inputs], Mapping[str, Any]] = lambda _inputs: {}
    shared: tuple[str, ...] = ()
    lacking: Callable[[Collection[str]], list[str]] = lambda _done: []
    stands: Callable[[], bool] | None = None

    @property
    def kind(self) -> str:
        """The first part of the name."""
        return self.name.partition("/")[0]

    @property
    def cheap(self) -> bool:
        """Whether it gathers what others made, and is done again without asking."""
        return bool(self.gathers)


class Records:
    """The records of a study's steps, one JSON file each, written when a step begins and ends.

    Args:
        out: folder of the study.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "steps"
        self.inputs = Inputs(self.folder / "inputs.parquet")

    def path(self, step: str, suffix: str = ".json") -> Path:
        """Return the file of a step's record."""
        return self.folder / (step.replace("/", "--") + suffix)

    def read(self, step: str) -> dict[str, Any]:
        """Return a step's record; empty if there is none."""
        try:
            return read_record(self.path(step))
        except XattnError:
            return {}

    def facts(self, step: Step, taken: tuple[str, ...]) -> dict[str, Any]:
        """Return what decides a step's result: its settings, its inputs, and theirs.

        Args:
            step: the step.
            taken: the steps whose results it takes.
        """
        return json_like({
            "settings": step.settings,
            "outside": step.files(self.inputs),
            "steps": {name: self._result(name) for name in taken},
        })  # fmt: skip

    def _result(self, name: str) -> str | None:
        """Return the hash of what a step came to; None if it is not done."""
        record = self.read(name)
        found: str | None = record.get("result") if record.get("done") else None
        return found

    def changed_files(self, record: Mapping[str, Any]) -> list[str]:
        """Name the files of a finished step that are not as it left them."""
        files: Mapping[str, str] = record.get("files", {})
        return [
            name for name, sha256 in files.items() if self.inputs.sha256(self.out / name) != sha256
        ]

    def begin(self, step: str, facts: Mapping[str, Any]) -> None:
        """Write that a step was begun."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.inputs.save()
        write_json(self.path(step), {"facts": facts, "done": False})

    def fail(self, step: str, facts: Mapping[str, Any]) -> None:
        """Write that a step failed, so that it may be done again with other settings."""
        write_json(self.path(step), {"facts": facts, "done": False, "failed": True})

    def end(
        self,
        step: Step,
        facts: Mapping[str, Any],
        files: list[Path],
        seconds: float,
        left: tuple[str, ...],
        said: Telling,
    ) -> None:
        """Write that a step is done, with the hashes of what it wrote.

        Args:
            step: the step.
            facts: its settings and inputs.
            files: what it wrote.
            seconds: it took.
            left: steps that it gathers and that failed.
            said: its notes and problems.
        """
        hashes = {
            _name(path, self.out): self.inputs.sha256(path) for path in sorted(_all_of(step, files))
        }
        self.inputs.save()
        decides = [facts] if step.stands else [facts, hashes]
        result = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
        write_json(
            self.path(step.name),
            {
                "facts": facts,
                "done": True,
                "result": result,
                "seconds": round(seconds, 2),
                "work": step.work,
                "without": list(left),
                "notes": said.notes,
                "problems": said.problems,
                "xattn": __version__,
                "files": hashes,
            },
        )


def json_like(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it comes back from a JSON file."""
    found: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return found


def _name(path: Path, out: Path) -> str:
    inside = path.resolve().is_relative_to(out.resolve())
    return path.resolve().relative_to(out.resolve()).as_posix() if inside else str(path.resolve())


def _all_of(step: Step, files: list[Path]) -> set[Path]:
    """Return the files that a step wrote: all in a folder of its own, but for locks."""
    if step.folder is None:
        return set(files)
    left = [path for path in step.folder.rglob("*") if path.suffix != ".lock" and path.is_file()]
    own = {path for path in left if path.name not in step.shared and path.name[0] != "."}
    return own | set(files)
