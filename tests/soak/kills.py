"""Commands that are killed again and again, and gone on with: do they end with the same bytes?"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import forked
from tests.cli.spoiled_commands import COMMANDS

KILLED = ("explain", "feature-usage", "train", "search", "study")
COMPARED = (".csv", ".parquet", ".toml", ".pt", ".png", ".json", "")
"""Endings of what a command leaves; "" are chunks of maps and masks."""
TIMED = frozenset({
    "metrics.csv", "run.json", "analysis.json", "train.json", "search.json", "study.json",
    "evaluation.json", "comparison.json", "best.json", "trials.csv", "inputs.parquet",
})  # fmt: skip
"""Files that say when, how long, or how often something was done."""
ENOUGH = 60.0


@dataclass
class Tally:
    """What became of one command.

    Attributes:
        kills: how many met the command at work.
        ends: seconds from SIGINT or SIGTERM to the end of the process.
        resumes: calls that went on.
        differences: files that were not as those of a call that was left alone.
    """

    kills: int = 0
    ends: list[float] = field(default_factory=list)
    resumes: int = 0
    differences: list[str] = field(default_factory=list)


def soak(
    command: str, prepared: Path, scratch: Path, kills: int, seed: int, say: Callable[[str], None]
) -> Tally:
    """Kill a command at random moments until so many kills have met it.

    Three in four are SIGKILL, the others SIGINT and SIGTERM, in turn.

    Args:
        command: one of `KILLED`.
        prepared: a folder that `spoiled_commands.prepare` has filled.
        scratch: where copies of it are worked in.
        kills: how many.
        seed: of the moments.
        say: takes a line after each call that was gone on with.
    """
    chance, tally = random.Random(f"{command} {seed}"), Tally()
    began = time.monotonic()
    whole = _copy(prepared, scratch / "whole")
    process = _start(command, whole)
    process.join()
    assert process.exitcode == 0, forked.said(whole)
    expected, took = _hashes(whole), time.monotonic() - began
    polite = iter(_in_turn(signal.SIGINT, signal.SIGTERM))
    while tally.kills < kills:
        cut = _copy(prepared, scratch / "cut")
        for _ in range(chance.choice((1, 1, 2, 3))):
            number = signal.SIGKILL if chance.random() < 0.75 else next(polite)
            process = _start(command, cut)
            process.join(chance.uniform(0, took))
            if process.exitcode is not None:
                break
            os.kill(process.pid, number)
            asked = time.monotonic()
            process.join(ENOUGH)
            if number != signal.SIGKILL:
                tally.ends.append(time.monotonic() - asked)
            tally.kills += 1
        if process.exitcode != 0:
            process = _start(command, cut)
            process.join()
            tally.resumes += 1
        # A training that was killed when all was written is finished, and says so.
        finished = command == "train" and "no finished training" in forked.said(cut)[1]
        if process.exitcode != 0 and not finished:
            tally.differences.append(f"{command} ended with {process.exitcode}: {forked.said(cut)}")
            continue
        found = _hashes(cut)
        different = [name for name in expected | found if expected.get(name) != found.get(name)]
        tally.differences += different
        say(f"{command}: {tally.kills} kills, {tally.resumes} resumes, differences = "
            f"{len(tally.differences)} {' '.join(different[:5])}")  # fmt: skip
    return tally


def _in_turn(*signals: signal.Signals) -> Iterator[signal.Signals]:
    while True:
        yield from signals


def _copy(prepared: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(prepared, place)
    return place


def _start(command: str, folder: Path) -> forked.BaseProcess:
    words = [word.replace("OUT", "out") for word in COMMANDS[command]]
    return forked.start(forked.command, *words, folder=folder)


def _hashes(folder: Path) -> dict[str, str]:
    """Hash what the command left in `folder`, by its place there."""
    places = [folder / "out", folder / "place"]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for place in places
        for path in sorted(place.rglob("*"))
        if path.is_file()
        and path.name not in TIMED
        and path.suffix in COMPARED
        and "steps" not in path.parts
    }
