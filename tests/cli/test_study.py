import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from threading import Timer

import pytest

from tests import forked
from tests.docs.workshop import SMALL_STUDY
from xattn.cli import main
from xattn.study.execute import run_study
from xattn.study.plan import plan_study
from xattn.study.read_recipe import read_study
from xattn.synthetic.tissue.dataset import synthesize_tissue

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "analysis" / "demo.toml"
RESNET = (ROOT / "models" / "resnet18.toml").as_posix()
SMALL = SMALL_STUDY.replace("resnet18.toml", RESNET)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def xattn(capsys):
    """Return a function that runs a command and gives what it printed."""

    def run(*words, code=0):
        found = main([*map(str, words)])
        said = capsys.readouterr()
        assert found == code, said.err
        return said

    return run


@pytest.mark.slow
def test_a_study_of_one_model_ends_with_page_figures_and_tables_and_is_not_done_again(
    recipe, xattn
):
    first = xattn("study", recipe)
    assert "Open this page: " in first.out
    out = Path("xattn-study/mine")
    for name in ("report/report.html", "figures/alignment.png", "tables/alignment.tex"):
        assert (out / name).is_file(), name
    assert "7/8 tables: done" in first.err
    second = xattn("study", recipe, "--json")
    steps = json.loads(second.out)["steps"]
    assert {one["remark"] for one in steps.values()} == {"was done"}
    plan = xattn("study", recipe, "--dry-run")
    assert "8 steps, 0 to do" in plan.out

    recipe.write_text(SMALL.replace("permutations = 19", "permutations = 39"))
    plan = xattn("study", recipe, "--dry-run")
    assert "again      feature-usage/resnet18/0  (permutations 19, now 39; after" in plan.out
    assert "--redo does so" in plan.out
    refused = xattn("study", recipe, code=2)
    assert "feature-usage/resnet18/0 (permutations 19, now 39)" in refused.err
    again = xattn("study", recipe, "--redo")
    assert "4/8 explain/resnet18/0: done, was done" in again.err
    assert "5/8 feature-usage/resnet18/0: running, permutations 19, now 39" in again.err


def test_a_plan_writes_nothing_and_says_what_it_rests_on(recipe, xattn, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    plan = xattn("study", recipe, "--dry-run")
    assert "new        train/resnet18/0  (after data)" in plan.out
    assert "8 steps, 8 to do, in xattn-study/mine" in plan.out
    assert "timed just now" in plan.out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_that_fails_is_named_with_its_cause_and_the_rest_waits_for_it(recipe, xattn):
    broken = Path("broken.toml")
    text = Path(RESNET).read_text()
    broken.write_text(text.replace("[train]", '[train]\ninit = "nowhere.pt"'))
    recipe.write_text(SMALL.replace(RESNET, "broken.toml"))
    found = xattn("study", recipe, "--quiet", code=1)
    lines = found.err.splitlines()
    assert lines[0].startswith("train/broken/0: failed, Expected a checkpoint file at ")
    assert lines[1] == (
        "Error: Expected all 8 steps to be done, but 1 failed (train/broken/0) and 6 need what "
        "failed; repeat the command once the cause is mended"
    )
    said = xattn("study", recipe, code=1).err
    assert "train/broken/0: failed, " in said
    assert "evaluate/broken" not in said  # hundreds of them may wait for one


def test_values_of_a_recipe_hold_where_the_command_line_is_silent(recipe, monkeypatch):
    seen = {}

    def measured(_run, _known, *, settings, **_rest):
        seen.update(settings.to_dict())
        raise KeyboardInterrupt

    monkeypatch.setattr("xattn.analysis.feature_usage.feature_usage", measured)
    monkeypatch.setattr("xattn.annotations.read_annotations", lambda *_a, **_k: None)
    words = ["feature-usage", "--run", "run", "--annotations", str(recipe), "--recipe", str(recipe)]
    monkeypatch.setattr("xattn.runs.RunFolder.open", lambda path: path)
    main([*words, "--permutations", "99"])
    assert (seen["permutations"], seen["bootstrap"], seen["computed"]) == (99, 99, False)


def tables(out):
    """Return every table of a study, by its place in it."""
    return {
        path.relative_to(out): path.read_bytes()
        for path in sorted(out.rglob("*.csv"))
        if path.name != "metrics.csv"  # seconds of epochs
    }


def study(out, dies_in="", after=0.0):
    """Run the demo's study; die without a word so many seconds after a step has begun."""

    def begun(step, outcome):
        if (step.name, outcome.state) == (dies_in, "running"):
            Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()

    outcomes = run_study(DEMO, out, on_step=begun)
    sys.exit(any(one.state != "done" for one in outcomes.values()))


@pytest.mark.slow
def test_the_demo_ends_with_equal_tables_however_often_it_is_killed(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def code_of(*given):
        process = forked.start(study, *given, folder=tmp_path)
        process.join()
        return process.exitcode

    assert code_of(whole) == 0
    for name in ("report/report.html", "figures/usage-heatmap.png", "comparison/comparison.csv"):
        assert (whole / name).is_file(), name

    chance = random.Random(0)
    steps = [step.name for step in plan_study(read_study(DEMO), cut)]
    assert len(steps) == 22
    killed = [code_of(cut, name, chance.uniform(0, 1)) == -signal.SIGKILL for name in steps]
    assert sum(killed) > len(steps) / 2  # some end before their time
    assert code_of(cut) == 0
    assert tables(cut) == tables(whole)
    shutil.rmtree(whole)  # 200 MB
    shutil.rmtree(cut)


@pytest.mark.slow
def test_the_recipe_of_tumour_tissue_runs_on_its_stand_in(tmp_path, monkeypatch, xattn):
    monkeypatch.chdir(tmp_path)
    known = synthesize_tissue(tmp_path / "tissue", 160)
    text = (ROOT / "analysis" / "camelyon17.toml").read_text()
    smaller = {
        "../models": (ROOT / "models").as_posix(),
        "seeds = 5": "seeds = 1",
        "[models.values]": "[models.values]\ndata.size = [48, 48]\ntrain.epochs = 1",
        "permutations = 999": "permutations = 19\nbootstrap = 99",
        "interventions = 100": "interventions = 2",
    }
    for was, is_now in smaller.items():
        assert was in text
        text = text.replace(was, is_now)
    Path("camelyon17.toml").write_text(text)
    said = xattn("study", "camelyon17.toml", "--data", known)
    out = Path("xattn-study/camelyon17")
    assert "Open this page: " in said.out
    verdicts = (out / "runs" / "resnet18-ela-0" / "verdicts.csv").read_text()
    assert {"nuclei", "pen", "stain", "nuclei_diameter", "center"} <= {
        line.split(",")[0] for line in verdicts.splitlines()
    }
    performance = (out / "evaluated" / "resnet18-0" / "performance.csv").read_text()
    assert {"test", "ood"} <= {line.split(",")[0] for line in performance.splitlines()}
