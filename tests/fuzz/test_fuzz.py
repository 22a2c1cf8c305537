"""Hostile and damaged input: a result or one line, in bounded time and memory, and no code run.

The short form is among the quick tests; `make fuzz` (`pytest -m fuzz`) tries 20,000 cases and more
and prints how many. A case is named by its number, which makes the same bytes again:

    XATTN_FUZZ_CASE=images:1234 pytest tests/fuzz -m fuzz
"""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import MARK, TARGETS, Files
from xattn.errors import XattnError

SHORT = 12
MOST_MEMORY = 1500
"""MB that all cases of a target together may add."""
MOST_SHOWN = 10
LONGEST, MOST_LINES = 3000, 30
"""Of a message: a line that names the file, what was expected and what was there; some of them."""


class TooLong(BaseException):
    """A case went on for longer than it may; nothing may catch it as an error of a file."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=TARGETS, ids=str)
def target(request):
    return request.param


@pytest.fixture
def good(target, tmp_path) -> Files:
    (tmp_path / "made").mkdir()
    return TARGETS[target].files(tmp_path / "made")


def test_what_is_good_is_read(target, good, tmp_path):
    read, refused = TARGETS[target].read, []
    for name, content in good.items():
        path = tmp_path / "made" / name
        path.write_bytes(content)
        try:
            read(path)
        except XattnError as err:
            refused.append(f"{name}: {err}")
    # Files that hold code, or that no reader knows, are among them on purpose.
    assert len(refused) < len(good), refused


def test_a_little_damage_is_read_or_refused_in_a_line(target, good, tmp_path, recwarn):
    found = attempt(target, good, tmp_path / "made", range(SHORT))
    assert not found, "\n\n".join(found)


@pytest.mark.fuzz
def test_damage_and_malice_are_read_or_refused_in_a_line(
    target, good, tmp_path, record_property, recwarn
):
    chosen, _, number = os.environ.get("XATTN_FUZZ_CASE", "").partition(":")
    if chosen and chosen != target:
        pytest.skip(f"a case of {chosen} is asked for")
    count = int(os.environ.get("XATTN_FUZZ_CASES", TARGETS[target].cases))
    cases = range(int(number), int(number) + 1) if number else range(count)
    found = attempt(target, good, tmp_path / "made", cases)
    record_property("fuzz_cases", len(cases))
    record_property("fuzz_failures", len(found))
    assert not found, "\n\n".join(found[:MOST_SHOWN])


def attempt(target: str, good: Files, folder: Path, cases: range) -> list[str]:
    """Try cases; return what was wrong with those that were not read or refused as they should."""
    chosen, names, wrong = TARGETS[target], list(good), []
    MARK.unlink(missing_ok=True)
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in cases:
        name = names[case % len(names)]
        content = mutated(good[name], list(good.values()), chosen.mutations, case)
        # Every other time under another ending: what it says it is need not be what it is.
        place = folder / (name if case % 7 else f"x{Path(names[case // 7 % len(names)]).suffix}")
        place.write_bytes(content)
        try:
            with within(chosen.seconds):
                chosen.read(place)
        except XattnError as err:
            if problem := _unfit(str(err)):
                wrong.append(f"{target}:{case} ({name}) is refused in {problem}: {str(err)[:2000]}")
        except TooLong:
            wrong.append(f"{target}:{case} ({name}) took over {chosen.seconds} s")
        except Exception:
            wrong.append(f"{target}:{case} ({name}): {traceback.format_exc(limit=-4)}")
        finally:
            place.unlink(missing_ok=True)
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began) / 1024
        if more > MOST_MEMORY:
            wrong.append(f"{target}:{case} ({name}): {more:.0f} MB more than before")
            began += int(more * 1024)
        if MARK.exists():
            MARK.unlink()
            wrong.append(f"{target}:{case} ({name}): code of the file ran")
    return wrong


def _unfit(message: str) -> str:
    """Say why a message is none that a person reads; "" if it is one."""
    lines = message.split("\n")
    if len(lines) > MOST_LINES:
        return f"{len(lines)} lines"
    if (longest := max(map(len, lines))) > LONGEST:
        return f"a line of {longest:,} characters"
    return ""
