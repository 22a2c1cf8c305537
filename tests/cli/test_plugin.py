"""A file of one's own is loaded before a command does its work, and recorded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import xattn.cli
from xattn.runs.calls import record_call


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test loads is none of the others'."""
    monkeypatch.setattr("xattn.plugins._files", [])


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my lab's.py"
    path.write_text("import builtins\nbuiltins.lab = getattr(builtins, 'lab', 0) + 1\n")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["--plugin", "{}", "annotations", "check", "none.json"],
        ["annotations", "check", "none.json", "--plugin", "{}"],
    ],
)
def test_a_plugin_is_loaded_once_before_or_after_the_command(words, plugin, monkeypatch) -> None:
    monkeypatch.setattr("builtins.lab", 0, raising=False)
    given = [word.format(plugin) for word in words]
    assert xattn.cli.main([*given, "--plugin", str(plugin)]) == 1  # there is no such file to check
    import builtins

    assert builtins.lab == 1


def test_a_call_records_it_with_its_hash(plugin, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("builtins.lab", 0, raising=False)
    xattn.cli.main(["--plugin", str(plugin), "annotations", "check", "none.json"])
    known = {"file": plugin.name, "sha256": hashlib.sha256(plugin.read_bytes()).hexdigest()}
    assert known in record_call("explain", tmp_path)["plugins"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "Expected a Python file at"), ("1 / 0", "ZeroDivisionError: division by zero")],
)
def test_one_that_cannot_be_loaded_is_one_line(content, message, tmp_path, capsys) -> None:
    path = tmp_path / "broken.py"
    if content is not None:
        path.write_text(content)
    assert xattn.cli.main(["--plugin", str(path), "models"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_help_loads_neither_plugin_nor_torch(plugin) -> None:
    code = (
        f"import sys, builtins, xattn.cli; xattn.cli.main(['--plugin', {str(plugin)!r}, '--help'])"
        "; print('LOADED', 'torch' in sys.modules, hasattr(builtins, 'lab'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED False False" in done.stdout
