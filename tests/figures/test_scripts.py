"""The scripts at the root, each run on a run folder as a reader would."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.figures.populated import complete_run, populated_comparison, populated_course
from tests.figures.searched import write_search
from xattn.figures.folders import opened
from xattn.figures.registry import FIGURES

FOLDER = Path(__file__).parents[2] / "figures"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind that figures are drawn from."""
    run = complete_run(tmp_path_factory.mktemp("scripts"), n=12)
    comparison = populated_comparison(tmp_path_factory.mktemp("compared"))
    course = populated_course(tmp_path_factory.mktemp("trained"))
    search = opened(write_search(tmp_path_factory.mktemp("searched") / "search"))
    return {type(folder): folder for folder in (run, comparison, course, search)}


def test_every_script_bears_the_name_of_a_figure():
    assert {s.stem.replace("_", "-") for s in SCRIPTS} <= set(FIGURES)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_draws_its_figure_of_a_folder(script, folders, tmp_path, monkeypatch, capsys):
    name = script.stem.replace("_", "-")
    of = FIGURES[name].of
    place = tmp_path if of is None else folders[of].path
    monkeypatch.setattr(sys, "argv", [script.name, str(place)])
    runpy.run_path(str(script), run_name="__main__")
    assert {p.name for p in (place if of is None else place / "figures").glob(f"{name}.*")} == {
        f"{name}.pdf", f"{name}.png",
    }  # fmt: skip
    assert f"{name}.pdf" in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_without_a_run_says_how_to_call_it(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script.name])
    with pytest.raises(SystemExit, match=r"RUN|FOLDER"):
        runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_is_described_in_the_readme(script):
    assert f"`{script.name}`" in (FOLDER / "README.md").read_text(encoding="utf-8")
