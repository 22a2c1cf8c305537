"""The scripts at the root, each run on a run folder as a reader would."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.figures.populated import populated_run
from xattn.figures.registry import known_figures

FOLDER = Path(__file__).parents[2] / "figures"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return populated_run(tmp_path_factory.mktemp("scripts"), n=12)


def test_every_figure_has_its_script():
    assert {s.stem.replace("_", "-") for s in SCRIPTS} == set(known_figures())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_draws_its_figure_of_a_run(script, run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script.name, str(run.path)])
    runpy.run_path(str(script), run_name="__main__")
    name = script.stem.replace("_", "-")
    assert {p.name for p in (run.path / "figures").glob(f"{name}.*")} == {
        f"{name}.pdf", f"{name}.png",
    }  # fmt: skip
    assert f"{name}.pdf" in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_without_a_run_says_how_to_call_it(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script.name])
    with pytest.raises(SystemExit, match="RUN"):
        runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_is_described_in_the_readme(script):
    assert f"`{script.name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")
