"""One command writes a folder at a time; the others are told by whom, and a kill blocks nobody."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from xattn.errors import DiskError, RunError
from xattn.runs import locks
from xattn.runs.guard import LOCK, reading, writes, writing

HOLD = (
    "import sys, time; from xattn.runs.guard import writing; held = writing(sys.argv[1], 'a test');"
    "held.__enter__(); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def holder(tmp_path):
    """A process that writes a folder, and the folder."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process, tmp_path / "run"
        process.kill()


def test_a_second_process_is_told_the_folder_and_who_is_at_work_on_it(holder):
    process, folder = holder
    told = rf"Expected {folder} .*, but process {process.pid} on .* \(a test\) is at work on it"
    with pytest.raises(RunError, match=told), writing(folder):
        pass
    with pytest.raises(RunError, match=told), reading(folder):
        pass


def test_a_killed_process_blocks_nobody_though_its_file_lies_there(holder):
    process, folder = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((folder / LOCK).read_text())["pid"] == process.pid
    with reading(folder):
        pass
    with writing(folder):
        pass


def test_nothing_is_left_behind_not_even_a_folder_that_nothing_came_into(tmp_path):
    with writing(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []
    with writing(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "table.csv").write_text("x")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["table.csv"]


def test_what_is_called_within_may_hold_it_again(tmp_path):
    with writing(tmp_path), writing(tmp_path), reading(tmp_path):
        assert (tmp_path / LOCK).is_file()
    assert not (tmp_path / LOCK).exists()


def test_another_thread_may_not(tmp_path):
    refused = []

    def attempt() -> None:
        try:
            with writing(tmp_path):
                pass
        except RunError as err:
            refused.append(str(err))

    with writing(tmp_path):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert "this process is at work on it" in refused[0]


def test_readers_do_not_hinder_each_other_but_hold_up_a_writer(tmp_path):
    with reading(tmp_path):
        with reading(tmp_path):
            pass
        with pytest.raises(RunError, match="at work on it"), writing(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path, monkeypatch):
    def refused(path: Path, flags: int, mode: int = 0) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refused)
    with reading(tmp_path):
        pass
    told = pytest.raises(DiskError, match=r"Expected to write into .*Permission denied")
    with told, writing(tmp_path):
        pass


def test_a_function_holds_the_folder_of_its_argument(tmp_path):
    @writes("out", "a test", unless=lambda arguments: arguments["dry"])
    def job(name: str, out: Path, dry: bool = False) -> bool:
        return (out / LOCK).exists()

    assert job("x", tmp_path)
    assert not job("x", out=tmp_path, dry=True)


def _race(folder: Path, start, wins) -> None:
    start.wait()
    for _ in range(60):
        try:
            with writing(folder):
                mine = folder / "mine"
                assert not mine.exists()
                mine.write_text(str(os.getpid()))
                assert mine.read_text() == str(os.getpid())
                mine.unlink()
                wins.put(1)
        except RunError as err:
            if "at work on it" not in str(err):
                raise
        time.sleep(0.0005)


def _race_without_kernel_locks(folder: Path, start, wins) -> None:
    _take_locks_away()
    _race(folder, start, wins)


def _take_locks_away() -> None:
    def without(descriptor: int, kind: int) -> None:
        raise OSError(38, "Function not implemented")

    locks.fcntl.flock = without


@pytest.mark.parametrize("job", [_race, _race_without_kernel_locks])
def test_of_many_processes_one_at_a_time_is_in(tmp_path, job):
    """The folder is made and taken away by each."""
    context = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")
    start, wins = context.Event(), context.Queue()
    racers = [context.Process(target=job, args=(tmp_path / "run", start, wins)) for _ in range(4)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert not wins.empty()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


class TestWithoutKernelLocks:
    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch):
        monkeypatch.setattr(locks.fcntl, "flock", locks.fcntl.flock)
        _take_locks_away()

    def sign(self, folder: Path, **facts: object) -> Path:
        path = folder / f"{LOCK}.pid"
        path.write_text(json.dumps(facts))
        return path

    def test_the_file_is_the_lock_and_goes_with_its_holder(self, tmp_path):
        with writing(tmp_path, "a test"):
            assert [p.name for p in tmp_path.iterdir()] == [f"{LOCK}.pid"]
        assert list(tmp_path.iterdir()) == []

    def test_a_living_holder_is_named_and_the_file_to_delete_should_it_be_gone(self, tmp_path):
        file = self.sign(tmp_path, pid=os.getppid(), host=socket.gethostname(), command="a test")
        for guard in (writing, reading):
            told = pytest.raises(RunError, match=rf"process \d+ on .* delete {file}")
            with told, guard(tmp_path):
                pass

    def test_one_of_another_host_is_believed(self, tmp_path):
        self.sign(tmp_path, pid=2**22 + 1, host="elsewhere")
        with pytest.raises(RunError, match="on elsewhere is at work"), writing(tmp_path):
            pass

    def test_a_dead_one_is_taken_over(self, tmp_path):
        self.sign(tmp_path, pid=2**22 + 1, host=socket.gethostname())
        with writing(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_one_that_died_before_it_signed_is_taken_over_after_a_minute(self, tmp_path):
        file = tmp_path / f"{LOCK}.pid"
        file.write_text("")
        with pytest.raises(RunError, match="another process"), writing(tmp_path):
            pass
        os.utime(file, (time.time() - 61,) * 2)
        with writing(tmp_path):
            pass
