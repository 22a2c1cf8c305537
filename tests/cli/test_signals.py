"""A training or a search that is asked to end says so in one line and its exit code; it goes on."""

from __future__ import annotations

import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import forked
from xattn.cli import main
from xattn.cli.signals import Terminated, terminable
from xattn.runs.atomic import read_record

RECIPE = """
[model]
architecture = "test_resnet"
[data]
size = 32
val = 0.25
test = 0.25
[train]
epochs = {epochs}
batch_size = 8
lr = 0.01
[search]
trials = 4
sampler = "random"
[search.space]
train.lr = {{ low = 1e-4, high = 1e-2, log = true }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images = []
    for i in range(40):
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"i{i}.png")
        images.append({"id": f"i{i}", "file": f"images/i{i}.png", "label": "ab"[i % 2]})
    content = {"schema": "xattn-annotations/1", "labels": ["a", "b"], "images": images}
    (tmp_path / "notes.json").write_text(json.dumps(content))
    (tmp_path / "recipe.toml").write_text(RECIPE.format(epochs=40))
    (tmp_path / "short.toml").write_text(RECIPE.format(epochs=4))
    return tmp_path


def words_of(command: str, out: str, recipe: str) -> list[str]:
    return [command, recipe, "--annotations", "notes.json", "--out", out, "--device", "cpu"]


def started(folder: Path, command: str, out: str, recipe: str = "recipe.toml") -> BaseProcess:
    return forked.start(forked.command, *words_of(command, out, recipe), folder=folder)


def wait_for(path: Path, process: subprocess.Popen | BaseProcess, lines: int = 1) -> None:
    until = time.monotonic() + 900
    while not (path.is_file() and len(path.read_text().splitlines()) >= lines):
        code = process.poll() if isinstance(process, subprocess.Popen) else process.exitcode
        assert code is None, code
        assert time.monotonic() < until
        time.sleep(0.01)


def ended(folder: Path, process: BaseProcess, number: signal.Signals) -> str:
    """Send a signal; return what the process says, other than its epochs."""
    os.kill(process.pid, number)
    process.join(600)
    said, problems = forked.said(folder)
    assert "Traceback" not in problems + said
    return problems


def finish(folder: Path, command: str, out: str, recipe: str = "recipe.toml") -> None:
    """Run a command to its end, in a new Python: with an own seed of the hashes of strings."""
    words = [sys.executable, "-m", "xattn", *words_of(command, out, recipe)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done


def go_on(folder: Path, command: str, out: str, recipe: str = "recipe.toml") -> None:
    process = started(folder, command, out, recipe)
    process.join(900)
    assert process.exitcode == 0, forked.said(folder)


def assert_same(folder: Path, names: list[str], a: str = "parts", b: str = "whole") -> None:
    for name in names:
        assert filecmp.cmp(folder / a / name, folder / b / name, shallow=False), name


TRAINED = ["model.pt", "history.csv", "predictions.parquet", "splits.csv", "splits_alike.csv"]


@pytest.mark.slow
def test_a_training_ends_by_any_signal_and_goes_on_to_the_same_bytes(folder: Path):
    finish(folder, "train", "whole")
    for number, code, lines in (
        (signal.SIGTERM, 143, 3),
        (signal.SIGHUP, 129, 7),
        (signal.SIGINT, 130, 11),
    ):
        process = started(folder, "train", "parts")
        wait_for(folder / "parts" / "history.csv", process, lines)
        said = ended(folder, process, number)
        assert process.exitcode == code
        line = [one for one in said.splitlines() if one and not one.startswith("epoch ")]
        assert len(line) == 1
        assert "repeat the command to go on" in line[0]
        assert (folder / "parts" / ".progress" / "last.ckpt").is_file()
        assert not (folder / "parts" / "train.json").exists()
    go_on(folder, "train", "parts")
    assert_same(folder, TRAINED)
    assert len(read_record(folder / "parts" / "train.json")["resumed_after"]) == 3


@pytest.mark.slow
def test_a_search_ends_by_a_signal_and_goes_on_to_the_same_end(folder: Path):
    finish(folder, "search", "whole", "short.toml")
    process = started(folder, "search", "parts", "short.toml")
    wait_for(folder / "parts" / "trials" / "0001" / "history.csv", process, 2)
    assert "Ended by SIGTERM" in ended(folder, process, signal.SIGTERM)
    assert process.exitcode == 143
    go_on(folder, "search", "parts", "short.toml")
    assert_same(folder, ["best.toml"])
    for trial in (f"trials/{i:04d}" for i in range(4)):
        assert_same(folder, ["history.csv", "recipe.toml"], f"parts/{trial}", f"whole/{trial}")


@pytest.mark.slow
def test_what_follows_a_training_by_and_does_not_go_on(folder: Path):
    words = "train recipe.toml --annotations notes.json --out out --device cpu"
    shell = subprocess.Popen(
        ["bash", "-c", f"{sys.executable} -m xattn {words} && touch evaluated"],
        cwd=folder,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for(folder / "out" / "history.csv", shell, 2)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(shell.pid)], capture_output=True, text=True
    ).stdout.split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    shell.communicate(timeout=600)
    assert shell.returncode == 143
    assert not (folder / "evaluated").exists()


@pytest.mark.slow
def test_a_script_of_ones_own_ends_by_sigterm_with_its_code(folder: Path):
    script = (
        "from xattn.training.fit import train\n"
        "train('recipe.toml', 'notes.json', 'out', device='cpu', progress=False)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
    wait_for(folder / "out" / "history.csv", process, 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=600) in (143, -signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_an_exception_and_the_handler_goes_again(number: signal.Signals):
    before = signal.signal(number, signal.SIG_DFL)  # nohup would have it ignored

    def end() -> None:
        with terminable():
            os.kill(os.getpid(), number)
            time.sleep(1)

    try:
        with pytest.raises(Terminated) as caught:
            end()
        assert caught.value.code == 128 + number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_command_line_says_by_what_it_was_ended(monkeypatch, capsys):
    def end(*_args: object, **_options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    monkeypatch.setattr("xattn.cli.app.main", end)
    assert main([]) == 143
    captured = capsys.readouterr()
    assert captured.err == (
        "Ended by SIGTERM; what was written is kept, repeat the command to go on\n"
    )
