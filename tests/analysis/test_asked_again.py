"""Where a run's model is asked again, an engine may answer: the tables are the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import with_statistics, wrapped
from xattn.analysis import asked_again
from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.faithfulness.measure import faithfulness
from xattn.analysis.feature_usage import feature_usage
from xattn.attribution.passes.engines.with_openvino import held_back
from xattn.attribution.run.pipeline import explain
from xattn.cli import main
from xattn.errors import UsageError
from xattn.models import Model, build, save_checkpoint
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record
from xattn.synthetic.dataset import synthesize

QUICK = {"permutations": 19, "bootstrap": 99, "interventions": 6, "given": "none"}
CHANGES = ["delta_logit", "control_delta_logit", "excess_logit"]
ENGINES = ["none", "torch", "openvino"]


def network() -> Model:
    torch.manual_seed(0)
    return wrapped(with_statistics(build("test_resnet", 2)).eval(), (64, 80))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Model, RunFolder]:
    root = tmp_path_factory.mktemp("run")
    known = synthesize(root / "data", 40, size=(64, 80), seed=1)
    model = network()
    return known, model, explain(model, annotations=known, out=root / "run", overlay="none")


@pytest.fixture
def run(made, tmp_path) -> RunFolder:
    """A copy of the run, to measure anew."""
    shutil.copytree(made[2].path, made[2].path.parent / tmp_path.name)
    return RunFolder.open(made[2].path.parent / tmp_path.name)


def require(engine: str) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="the extra `fast` is not installed")
        if held_back():
            pytest.skip(held_back())


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_edits_and_concepts_are_those_of_the_model_itself(made, engine):
    require(engine)
    known, model, whole = made
    tables = {}
    for name in ("none", engine):
        folder = whole.path.parent / f"usage-{engine}-{name}"
        shutil.copytree(whole.path, folder)
        found = feature_usage(folder, known, model=model, accelerate=name, computed=False, **QUICK)
        assert read_record(folder / "analysis.json")["engine"] == name
        tables[name] = {
            "interventions": found.interventions[["n", *CHANGES]],
            "doses": found.doses[["n", "dose", *CHANGES]],
            "concepts": found.concepts[["encoded"]],
        }
    for name, own in tables["none"].items():
        assert len(own)
        other = tables[engine][name]
        np.testing.assert_allclose(other, own, atol=2e-3, rtol=2e-3, err_msg=name)


@pytest.mark.parametrize("engine", ENGINES)
def test_faithfulness_is_asked_of_the_engine(made, run, engine):
    require(engine)
    found = faithfulness(run, made[1], images=4, bootstrap=99, permutations=19, accelerate=engine)
    assert read_record(run.path / "faithfulness.json")["engine"] == engine
    rows = found.table.set_index(["method", "target", "score"])["value"]
    if engine != "none":
        faithfulness(run, made[1], images=4, bootstrap=99, permutations=19, accelerate="none")
        own = run.table("faithfulness").set_index(["method", "target", "score"])["value"]
        same = [key for key in own.index if "randomised" not in key[2]]
        np.testing.assert_allclose(rows[same], own[same], atol=2e-3)


def test_the_model_is_left_as_it_was(made, run):
    model = network()
    unsettle(model.module)
    before = Snapshot(model.module)
    feature_usage(run, made[0], model=model, accelerate="torch", computed=False, **QUICK)
    before.check(model.module)


class TestAskedAgain:
    def test_loads_and_copies_nothing_before_it_is_asked(self, made, monkeypatch):
        def never(*_args: object, **_options: object) -> None:
            raise AssertionError

        for name in ("make_fast_copy", "model_of_run"):
            monkeypatch.setattr(asked_again, name, never)
        assert AskedAgain(made[2]).engine is None

    def test_copies_once(self, made):
        asked = AskedAgain(made[2], made[1], accelerate="torch")
        assert asked.fast is asked.fast
        assert asked.fast is not made[1]
        assert asked.engine == "torch"

    def test_is_the_model_itself_where_the_run_was_exact(self, made, tmp_path):
        exact = explain(made[1], annotations=made[0], out=tmp_path / "run", exact=True)
        asked = AskedAgain(exact, made[1], accelerate="torch")
        assert asked.fast is made[1]
        assert asked.engine == "none"


def test_an_unknown_engine_is_refused(made, run):
    with pytest.raises(UsageError, match="opnvino"):
        feature_usage(run, made[0], model=made[1], accelerate="opnvino", **QUICK)


def test_the_command_takes_it_and_the_record_has_it(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network()
    save_checkpoint(
        "model.pt", model.module, architecture="test_resnet", classes=model.classes,
        preprocessing=model.preprocessing,
    )  # fmt: skip
    known = str(made[0])
    words = ["--annotations", known, "--quiet"]
    assert main(["explain", "--ckpt", "model.pt", *words, "--overlay", "none"]) == 0
    cheap = ["--permutations", "19", "--bootstrap", "99", "--given", "none", "--no-computed"]
    assert main(["feature-usage", *words, *cheap, "--interventions", "5", "--accelerate",
                 "none"]) == 0  # fmt: skip
    facts = read_record(Path("xattn-run/analysis.json"))
    assert facts["engine"] == "none"
    assert facts["call"]["settings"]["accelerate"] == "none"
    assert isinstance(pd.read_csv("xattn-run/doses.csv"), pd.DataFrame)
