"""A place that cannot be written is named in one line, and what was done before stays.

Every command that writes x every way in which a place refuses. The processes have file systems of
their own, so that root, too, meets a folder that is read-only and a disk that is full.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import forked
from tests.cli import spoiled
from tests.cli.spoiled_commands import COMMANDS, IN_ONE_RUN, RESUMED, SILENT, prepare
from xattn.cli import app

KIB = 1024
SPOILED = {
    "read-only": (spoiled.read_only,),
    "forbidden": (spoiled.forbidden,),
    "full": (spoiled.full, 0),
    "full, but for 16 KiB": (spoiled.full, 16 * KIB),
    "full, but for 96 KiB": (spoiled.full, 96 * KIB),
}
ELSEWHERE = {"below a file": "place/a-file/out", "a name too long": f"place/{'n' * 300}"}
REASONS = {
    "read-only": "Read-only file system",
    "forbidden": "Permission denied",
    "below a file": "",  # by the place where it is noticed: not a directory, a file, it exists
    "a name too long": "File name too long",
}
FULL = "No space left on device"


@pytest.fixture(scope="module")
def own_disks() -> None:
    if why := spoiled.why_not():
        pytest.skip(why)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    prepare(folder)
    return folder


def told(folder: Path, process) -> str:
    """Return the one line that a command which could write nothing ends with."""
    process.join(600)
    _, errors = forked.said(folder)
    assert process.exitcode == 1, errors
    assert "Traceback" not in errors
    line = errors.splitlines()[-1]
    assert line.startswith("Error: Expected ")
    return line


def refused(folder: Path, name: str, problem: str) -> str:
    if problem in SPOILED:
        spoil, *room = SPOILED[problem]
        words = [word.replace("OUT", "place/out") for word in COMMANDS[name]]
        given = (spoil, folder / "place", words, *room)
        return told(folder, forked.start(spoiled.command, *given, folder=folder))
    (folder / "place").mkdir(exist_ok=True)
    (folder / "place" / "a-file").write_text("")
    words = [word.replace("OUT", ELSEWHERE[problem]) for word in COMMANDS[name]]
    return told(folder, forked.start(forked.command, *words, folder=folder))


@pytest.mark.parametrize("problem", ["read-only", "forbidden", "full", *ELSEWHERE])
def test_images_that_cannot_be_written_are_told_in_one_line(own_disks, tmp_path, problem):
    (tmp_path / "place").mkdir()
    line = refused(tmp_path, "synthesize", problem)
    assert "place/" in line
    assert REASONS.get(problem, FULL) in line
    assert "; " in line  # the way out


def cases() -> list[tuple[str, str]]:
    """Return every command with every problem that it can meet."""
    written = [(name, problem) for name in COMMANDS for problem in [*SPOILED, *ELSEWHERE]]
    return [(n, f) for n, f in written if f in SPOILED or "OUT" in str(COMMANDS[n])]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "problem"), cases())
def test_every_command_says_in_one_line_what_cannot_be_written(
    own_disks, given, tmp_path, name, problem
):
    shutil.copytree(given, tmp_path / "here")
    if problem.startswith("full, but") and name in IN_ONE_RUN:
        pytest.skip("it writes less than that")
    line = refused(tmp_path / "here", name, problem)
    if name == "study" and problem.startswith("full, but"):  # it goes on with what does not need it
        line = forked.said(tmp_path / "here")[1]
    assert "place" in line
    assert REASONS.get(problem, FULL) in line


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
@pytest.mark.parametrize("room", [32, 96])
def test_a_command_that_met_a_full_disk_goes_on_to_the_same_bytes(
    own_disks, given, tmp_path, name, room
):
    words = [word.replace("OUT", "place/out") for word in COMMANDS[name]]
    whole, cut = tmp_path / "whole" / "here", tmp_path / "cut" / "here"
    for folder in (whole, cut):
        shutil.copytree(given, folder)
    process = forked.start(forked.command, *words, folder=whole)
    process.join(600)
    assert process.exitcode == 0, forked.said(whole)
    kept = tmp_path / "kept"
    process = forked.start(
        spoiled.command_twice, cut / "place", words, room * KIB, kept, folder=cut
    )
    process.join(600)
    assert process.exitcode == 10, forked.said(cut)
    assert contents(kept) == contents(whole / "place")


ENDINGS = (".csv", ".parquet", ".pt", ".toml", ".png", ".jpg")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that depend on nothing but what was asked: none has times in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    chosen = [p for p in files if p.suffix in ENDINGS or ".zarr" in str(p)]
    timed = ("metrics.csv", "trials.csv", "inputs.parquet")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(chosen)
        if path.name not in timed
    }


def test_every_command_that_writes_is_among_those_that_are_tried():
    nested = {name: getattr(command, "commands", {}) for name, command in app.commands.items()}
    every = {f"{name} {sub}".strip() for name, subs in nested.items() for sub in subs or [""]}
    tried = {" ".join(words[: 1 + (words[0] == "annotations")]) for words in COMMANDS.values()}
    assert tried | set(SILENT) == every


def test_a_descriptor_too_many_is_told_in_one_line(tmp_path):
    process = forked.start(of_few_files, str(tmp_path / "out"), folder=tmp_path)
    assert "Too many open files; raise the limit on open files (ulimit -n)" in told(
        tmp_path, process
    )


def of_few_files(out: str) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # as many as the terminal takes
    forked.command("synthesize", "--n", "1", "--size", "64", "--out", out)
