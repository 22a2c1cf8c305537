"""Who adds to a run that was analysed is told at once that the analysis is of fewer images."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_another_folder import CLASSES, FEW, study
from xattn.cli import main
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

LOADING = ["--ckpt", "net.pt", "--arch", "test_resnet", "--classes", ",".join(CLASSES),
           "--size", "32"]  # fmt: skip
EXPLAIN = ["explain", *LOADING, "--annotations", "a.json", "--overlay", "none", "--out", "r"]
USAGE = ["--annotations", "a.json", "--run", "r", *FEW["feature-usage"], "--positive", "a"]


def images(*numbers: int) -> list[str]:
    return [word for i in numbers for word in ("--images", f"x{i}.bmp")]


@pytest.fixture
def analysed(tmp_path, monkeypatch, capsys) -> Path:
    """A run of six of eight images, with an analysis of these."""
    monkeypatch.chdir(tmp_path)
    study(tmp_path)
    assert main([*EXPLAIN, *images(*range(6)), "--quiet"]) == 0
    assert main(["feature-usage", *USAGE, "--quiet"]) == 0
    capsys.readouterr()
    return tmp_path


def explain_more(_root: Path) -> list[str]:
    return [*EXPLAIN, *images(6, 7)]


def evaluate_more(_root: Path) -> list[str]:
    return ["evaluate", *LOADING, "--annotations", "a.json", "--out", "r", *FEW["evaluate"]]


def replace_one(root: Path) -> list[str]:
    pixels = np.random.default_rng(9).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "x3.bmp")
    return [*EXPLAIN, *images(*range(6))]


ADDS = {
    "explain": (explain_more, "6 images, and there are 8 now"),
    "evaluate": (evaluate_more, "6 images, and there are 8 now"),
    "an image replaced": (replace_one, "images that were done again"),
}


@pytest.mark.parametrize("name", ADDS)
def test_the_command_says_so_with_what_is_to_be_repeated(name, analysed, capsys):
    add, told = ADDS[name]
    assert main(add(analysed)) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "the analysis in r" in one]
    assert f"the analysis in r is of {told}; repeat `" in line
    assert main(["report", "r"]) == 1
    assert f"the analysis in r is of {told}; repeat `" in capsys.readouterr().err
    again = re.search(r"`xattn ([^`]*)`", line).group(1)
    assert main([*shlex.split(again), "--quiet"]) == 0
    call = read_record(Path("r/analysis.json"))["call"]
    assert call["settings"]["positive"] == ["a"]  # as it was measured before
    capsys.readouterr()
    assert main([*EXPLAIN, *images(0)]) == 0
    assert "the analysis in" not in capsys.readouterr().out
    assert main(["report", "r"]) == 0


def test_it_stands_in_the_summary_for_machines(analysed, capsys):
    assert main([*explain_more(analysed), "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert any("the analysis in r is of 6 images" in one for one in changes)
    assert main([*evaluate_more(analysed), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("the analysis in r is of 6 images" in one for one in notes)


def test_nothing_is_said_where_the_analysis_follows_or_there_is_none(analysed, capsys):
    assert main(["feature-usage", *LOADING, *images(6, 7), *USAGE]) == 0
    assert "the analysis in" not in capsys.readouterr().out
    assert len(RunFolder.open("r").predictions) == 8
    assert main([*EXPLAIN[:-1], "other", *images(0)]) == 0
    assert main([*EXPLAIN[:-1], "other", *images(1)]) == 0
    assert "the analysis in" not in capsys.readouterr().out
