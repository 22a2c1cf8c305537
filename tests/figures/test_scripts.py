"""The study's own figures at the root: each script run on folders as a reader would."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.figures.populated import complete_run, populated_comparison

FOLDER = Path(__file__).parents[2] / "figures"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two models of the same images."""
    place = tmp_path_factory.mktemp("scripts")
    return [
        str(complete_run(place / name, n=12, seed=i).path.rename(place / f"run-{name}"))
        for i, name in enumerate(("resnet18", "resnet18-ga"))
    ]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return [str(populated_comparison(tmp_path_factory.mktemp("compared")).path)]


def written(script: str, given: list[str], out: Path, monkeypatch, capsys) -> set[str]:
    """Run a script and return the names of the files that it says it wrote; they are there."""
    monkeypatch.setattr(sys, "argv", [script, *given, str(out)])
    runpy.run_path(str(FOLDER / script), run_name="__main__")
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert paths
    assert all(path.is_file() and out in path.parents for path in paths)
    return {path.name for path in paths}


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("figure_1.py", {"block-ga.pdf"}),
        ("figure_2.py", {"block-la.pdf", "block-ela.pdf"}),
    ],
)
def test_figures_1_and_2_are_the_graphs_of_the_blocks(script, names, tmp_path, monkeypatch, capsys):
    assert written(script, [], tmp_path, monkeypatch, capsys) == names


def test_the_benchmark_shows_seeds_and_ranks_and_writes_its_tables(
    comparison, tmp_path, monkeypatch, capsys
):
    names = written("benchmark.py", comparison, tmp_path, monkeypatch, capsys)
    assert names == {
        "performance-seeds.pdf", "critical-difference.pdf", "comparison.tex", "performance.tex"
    }  # fmt: skip


def test_global_usage_holds_the_models_side_by_side(runs, tmp_path, monkeypatch, capsys):
    names = written("global_usage.py", runs, tmp_path, monkeypatch, capsys)
    assert {"usage-heatmap.pdf", "interventions.pdf", "verdicts.tex"} <= names
    assert (tmp_path / "usage-heatmap.pdf").is_file()
    assert (tmp_path / "verdicts.tex").is_file()


def test_local_explanations_are_of_the_same_images(runs, tmp_path, monkeypatch, capsys):
    names = written("local_explanations.py", runs, tmp_path, monkeypatch, capsys)
    assert {"attribution-models.pdf", "agreement.pdf", "agreement-maps.pdf", "alignment.pdf",
            "alignment.tex"} == names  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_without_folders_says_how_to_call_it(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script.name])
    with pytest.raises(SystemExit, match="OUT"):
        runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_is_described_in_the_readme(script):
    assert f"`{script.name}" in (FOLDER / "README.md").read_text(encoding="utf-8")
