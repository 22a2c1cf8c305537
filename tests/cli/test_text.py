"""Names and values reach the terminal as text, whatever they look like."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.attribution.on_disk import bright, noise
from xattn.annotations import write_annotations
from xattn.annotations.records import AnnotatedImage, Feature
from xattn.attribution.run.pipeline import explain
from xattn.cli import main
from xattn.cli.cells import cell, with_interval
from xattn.cli.terminal import Terminal
from xattn.cli.text import visible, visible_lines
from xattn.errors import RunError

NAMES = ["ru[ler]", "[/x]", "[bold]", ":smile:", "a\x1b[31mred", "a\nb", "\u202eabc", "100%",
         "<script>", "$x_1$ & \\y|z", "[link=http://x]y[/link]"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_table_shows_a_name_in_cells_heads_and_title(name, capsys):
    Terminal().table(pd.DataFrame({name: [name, "b"], "n": [1, 2]}), f"How is {name}?")
    out = capsys.readouterr().out
    assert "".join(out.split()).count("".join(visible(name).split())) == 3  # titles wrap
    assert "\x1b" not in out


MISSING = [None, math.nan, np.float32("nan"), np.inf, pd.NA, pd.NaT]


@pytest.mark.parametrize("how", [None, "+.3f"])
@pytest.mark.parametrize("value", MISSING, ids=str)
def test_what_a_table_has_no_value_of_is_a_dash(value, how, capsys):
    table = pd.DataFrame({"feature": ["a", "b"], "lift": pd.Series([1, value], dtype=object)})
    Terminal().table(table, "Lift?", {} if how is None else {"lift": how})
    one = "1" if how is None else "+1.000"
    assert [line.split() for line in capsys.readouterr().out.splitlines()[2:]] == [
        ["a", one], ["b", "-"],
    ]  # fmt: skip


@pytest.mark.parametrize("value", MISSING, ids=str)
def test_so_is_what_has_no_value_or_no_interval_beside_others(value):
    assert with_interval(value, 0.1, 0.3) == "-"
    assert with_interval(0.2, value, value) == "0.20"


@pytest.mark.parametrize(
    ("value", "how", "text"),
    [(47, None, "47"), (np.int64(3), None, "3"), (np.float32(0.123456), None, "0.123"),
     (True, None, "True"), (-0.0, None, "0"), (-1e-4, ".2f", "0.00"), (-0.3, "+.3f", "-0.300")],
)  # fmt: skip
def test_numbers_are_rounded_and_zero_has_no_sign(value, how, text):
    assert cell(value, how) == text


@pytest.mark.parametrize("name", NAMES)
def test_lines_and_problems_show_it(name, capsys):
    terminal = Terminal()
    terminal.say(f"feature {name}")
    terminal.problem(f"image {name}")
    with terminal.progress(name) as move:
        move(1, 1)
    told = capsys.readouterr()
    assert told.out == f"feature {visible(name)}\n"
    assert told.err.startswith(f"Skipped: image {visible(name)}\n")


def test_a_bar_that_never_moved_goes_away_before_the_error(capsys):
    with pytest.raises(RunError), Terminal().progress("explain"):
        raise RunError("Expected another folder")
    assert capsys.readouterr().err.strip() == ""


def test_what_was_guessed_for_a_checkpoint_is_shown_as_text(capsys, monkeypatch):
    model = bright()
    model.source |= {
        "path": "a\x1b[31m.pt",
        "format": "xattn",
        "normalisation": "the checkpoint",
        "notes": ["left out: head\u202e"],
        "sha256": "0" * 64,
        "weights": "raw",
    }
    monkeypatch.setattr("xattn.models.load", lambda *_args, **_kwargs: model)
    assert main(["inspect", "--ckpt", "model.pt"]) == 0
    assert "Note: a\\x1b[31m.pt: left out: head\\u202e\n" in capsys.readouterr().err


def test_halves_of_pairs_are_written_out():
    assert visible("x\udcff") == "x\\udcff"
    assert visible_lines("two:\n  a\nb\n  c") == "two:\n  a\\nb\n  c"


COMMANDS = {
    "explain": ["explain", "--ckpt", "{}", "-i", "images"],
    "images": ["explain", "--ckpt", "model.pt", "-i", "{}"],
    "size": ["explain", "--ckpt", "model.pt", "-i", "images", "--size", "{}"],
    "method": ["explain", "--ckpt", "model.pt", "-i", "images", "-m", "{}"],
    "target": ["explain", "--ckpt", "model.pt", "-i", "images", "--target", "{}"],
    "annotations": ["feature-usage", "--annotations", "{}"],
    "run": ["feature-usage", "--annotations", "annotations.json", "--run", "{}"],
    "report": ["report", "{}"],
    "figures": ["figures", "--only", "{}"],
    "format": ["figures", "--only", "blocks", "--format", "{}"],
    "inspect": ["inspect", "{}"],
    "models": ["models", "{}"],
    "compare": ["compare", "{}", "b", "--out", "out"],
    "train": ["train", "{}", "--annotations", "annotations.json", "--out", "out"],
    "search": ["search", "{}", "--annotations", "annotations.json", "--out", "out"],
    "evaluate": ["evaluate", "--ckpt", "{}", "--annotations", "annotations.json"],
    "build": ["annotations", "build", "{}"],
    "check": ["annotations", "check", "{}"],
    "verify": ["verify", "{}"],
    "merge": ["merge", "{}", "--out", "out"],
    "command": ["{}"],
}


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("-")])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_a_name_in_its_own_words(command, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(name) for word in COMMANDS[command]]) in (1, 2)
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert "\u202e" not in err


@pytest.mark.parametrize("name", ["ru[ler]", "[x]", "=2+3", ":smile:", "$x_1$ & %\\|~^{}",
                                  "<script>alert(1)<!--", "a'\"b"])  # fmt: skip
def test_a_feature_of_any_name_goes_through_the_whole_chain(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    name = name.replace("\\", "")  # it becomes the name of a folder
    images = []
    for i in range(16):
        path = noise(tmp_path / "images" / f"img_{i}.png", (32, 32), seed=i)
        images.append(AnnotatedImage(f"img_{i}", path, ("benign", "malignant")[i % 2],
                                     values={name: int(rng.integers(2))}))  # fmt: skip
    write_annotations(tmp_path / "a.json", images, labels=("benign", "malignant"),
                      features={name: Feature(kind="artifact")})  # fmt: skip
    torch.manual_seed(0)
    explain(bright(), out="xattn-run", annotations="a.json")
    assert main(["feature-usage", "--annotations", "a.json", "--interventions", "0",
                 "--permutations", "19", "--bootstrap", "99"]) == 0  # fmt: skip
    assert name in capsys.readouterr().out
    assert main(["report"]) == 0
    page = Path("xattn-run/report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert main(["figures", "--only", "tables"]) == 0
    assert main(["figures", "--only", "feature-usage", "--format", "svg"]) == 0
    drawn = Path("xattn-run/figures/feature-usage.svg").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in drawn
    capsys.readouterr()
    assert main(["feature-usage", "--annotations", "a.json", "--interventions", "0", "--json",
                 "--permutations", "19", "--bootstrap", "99"]) == 0  # fmt: skip
    rows = json.loads(capsys.readouterr().out)["feature_usage"]
    assert any(row["feature"] == name for row in rows)
