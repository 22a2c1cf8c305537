"""What does not belong together is not drawn: a stopped analysis, tables of another run."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import forked
from tests.fabricate import fabricate_run
from xattn.analysis.feature_usage import feature_usage
from xattn.annotations import write_annotations
from xattn.annotations.records import AnnotatedImage
from xattn.errors import RunError, XattnError
from xattn.figures.page.report import report
from xattn.figures.registry import save_figures
from xattn.figures.tables import save_tables
from xattn.runs import RunFolder
from xattn.runs.writer import RunWriter

LITTLE = {"permutations": 19, "bootstrap": 99, "interventions": 0, "computed": False}


def analysed(root: Path, seed: int = 0, n: int = 24) -> tuple[RunFolder, Path]:
    rng = np.random.default_rng(seed)
    labels = [("benign", "malignant")[i % 2] for i in range(n)]
    run = fabricate_run(root, rng.normal(size=(n, 2)), {"gradcam": rng.random((n, 4, 4))}, labels)
    images = [
        AnnotatedImage(f"img_{i:04d}", root / f"images/img_{i:04d}.png", labels[i],
                       values={"age": float(rng.integers(20, 80))})
        for i in range(n)
    ]  # fmt: skip
    path = write_annotations(root / "annotations.json", images, labels=("benign", "malignant"))
    feature_usage(run, path, **LITTLE)
    return run, path


def draw(run: Path) -> None:
    report(run, gallery=0)
    save_tables(run)


def refusals(run: Path, match: str) -> None:
    for job in (report, save_tables, save_figures):
        with pytest.raises(RunError, match=match):
            job(run)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return analysed(tmp_path)[0]


def test_a_whole_analysis_is_drawn(run):
    draw(run.path)


def test_an_analysis_that_ended_in_an_error_is_not_mixed_with_the_one_before(run, monkeypatch):
    def broken(*_: object, **__: object) -> pd.DataFrame:
        raise XattnError("stopped")

    monkeypatch.setattr("xattn.analysis.measure.agreement_table", broken)
    with pytest.raises(XattnError, match="stopped"):
        feature_usage(run, run.path.parent / "annotations.json", **LITTLE)
    refusals(run.path, r"Expected a finished analysis.json .*; repeat `xattn feature-usage")


def test_annotations_that_are_refused_leave_the_analysis_before_whole(run, tmp_path):
    others = [AnnotatedImage("another", tmp_path / "images/img_0000.png", "benign")]
    path = write_annotations(tmp_path / "others.json", others, labels=("benign", "malignant"))
    with pytest.raises(XattnError, match="no id in common"):
        feature_usage(run, path, **LITTLE)
    draw(run.path)


@pytest.mark.parametrize("name", ["bias.csv", "feature_usage.csv", "features.parquet"])
def test_a_table_of_another_run_is_refused_by_name(run, tmp_path, name):
    other, _ = analysed(tmp_path / "other", seed=1)
    shutil.copy(other.path / name, run.path / name)
    refusals(run.path, rf"Expected .*{name} as it was when .*analysis.json was written.*repeat")


def test_a_table_that_is_gone_is_named(run):
    (run.path / "alignment.csv").unlink()
    refusals(run.path, r"Expected .*alignment.csv, as .*analysis.json says, but it is not there")


def test_images_that_were_added_since_are_noticed(run):
    writer = RunWriter.start(run.path, run.settings)
    row = run.predictions.iloc[0].to_dict() | {"image_id": "new", "file": "images/new.png"}
    writer.commit([row], {"gradcam": np.ones((1, 4, 4), np.float32)})
    writer.finish()
    refusals(run.path, r"the analysis in .* is of 24 images, and there are 25 now; repeat `xattn")


def test_an_analysis_of_an_earlier_version_is_drawn_as_before(run):
    import json

    path = run.path / "analysis.json"
    facts = json.loads(path.read_text())
    newer = ("files", "predictions_sha256", "checksum")
    path.write_text(json.dumps({k: v for k, v in facts.items() if k not in newer}))
    draw(run.path)


def measure(run: str, annotations: str) -> None:
    """Say that the analysis begins, and analyse; in a process of its own."""
    sys.stdout.write("go\n")
    sys.stdout.flush()
    feature_usage(run, annotations, permutations=19, bootstrap=99, interventions=0, seed=7)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_an_analysis_that_is_whole_or_refused(tmp_path):
    run, annotations = analysed(tmp_path)
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(12):
        shutil.rmtree(tmp_path / "trial", ignore_errors=True)
        shutil.copytree(run.path, tmp_path / "trial")
        words = (str(tmp_path / "trial"), str(annotations))
        process = forked.start(measure, *words, folder=tmp_path, name=f"{trial}")
        while not (told := tmp_path / f"{trial}.out").is_file() or not told.read_text():
            assert process.exitcode is None, forked.said(tmp_path, f"{trial}")
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.4)) * (trial > 0))
        process.kill()
        process.join()
        try:
            RunFolder.open(tmp_path / "trial").require_whole()
            outcomes.add("whole")
        except RunError as err:
            assert "repeat `xattn feature-usage" in str(err)  # noqa: PT017 -- either is right
            outcomes.add("refused")
    assert "whole" in outcomes
    feature_usage(tmp_path / "trial", annotations, **LITTLE)
    draw(tmp_path / "trial")
