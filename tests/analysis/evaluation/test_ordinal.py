"""Grades of an ordinal head are evaluated as grades: kappa and error, by group, in words."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from xattn.analysis.evaluation.metrics import Predictions, of_grades
from xattn.cli import main
from xattn.models.architectures.registry import build

GRADES = ("none", "mild", "moderate", "severe")
N = 24
numbers = arrays(np.intp, N, elements=st.integers(0, 3))
counts = arrays(np.int64, (3, N), elements=st.integers(0, 4))


@given(predicted=numbers, truth=numbers, weights=counts)
def test_kappa_and_error_are_those_of_scikit_learn_under_every_weighting(predicted, truth, weights):
    weights[:, 0] += 1
    kappa, error = of_grades(predicted, truth, weights)
    for k, w in enumerate(weights):
        there = w > 0
        if len({*predicted[there], *truth[there]}) == 1:
            assert np.isnan(kappa[k])
        else:
            theirs = cohen_kappa_score(
                predicted, truth, labels=[0, 1, 2, 3], weights="quadratic", sample_weight=w
            )
            assert kappa[k] == pytest.approx(theirs, abs=1e-9)
        assert error[k] == pytest.approx(mean_absolute_error(truth, predicted, sample_weight=w))


def test_the_median_grade_for_all_is_the_level_of_chance():
    truth = np.array([0, 0, 0, 1, 2, 3])
    said = Predictions(np.eye(4)[truth], truth, GRADES, ordered=True)
    chance = dict(zip(said.names, said.chance(), strict=True))
    assert chance["quadratic_kappa", "all"] == 0
    assert chance["grade_mae", "all"] == pytest.approx(np.abs(truth - 0.5).mean())
    values = dict(zip(said.names, said.weighted(np.ones((1, 6)))[0], strict=True))
    assert values["quadratic_kappa", "all"] == pytest.approx(1)
    assert values["grade_mae", "all"] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eye-like images of four grades of three eyes a patient, and a network of three thresholds."""
    root = tmp_path_factory.mktemp("grades")
    rng, images = np.random.default_rng(0), []
    for i in range(48):
        grade = i % 4
        pixels = rng.integers(0, 40, (32, 32, 3)) + 50 * grade
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"e{i:02d}.png")
        images.append({"id": f"e{i:02d}", "file": f"e{i:02d}.png", "label": GRADES[grade],
                       "group": f"p{i // 3}"})  # fmt: skip
    content = {"schema": "xattn-annotations/1", "labels": list(GRADES), "images": images}
    (root / "a.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    torch.save(build("test_resnet", 3).state_dict(), root / "net.pt")
    return root


@pytest.mark.parametrize("kind", ["ordinal", "corn"])
def test_the_command_the_table_and_the_report_say_so(folder, tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    words = ["--ckpt", folder / "net.pt", "--arch", "test_resnet", "--classes", ",".join(GRADES),
             "--size", "32", "--outputs", kind, "--annotations", folder / "a.json", "--out", "r",
             "--bootstrap", "200"]  # fmt: skip
    code = main(["evaluate", *map(str, words)])
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "quadratic weighted kappa" in told.out
    assert "mean absolute error in grades" in told.out
    table = pd.read_csv("r/performance.csv").set_index("metric")
    rows = pd.read_parquet("r/predictions.parquet")
    said, true = (rows[c].map(GRADES.index) for c in ("predicted", "label"))
    kappa, error = table.loc["quadratic_kappa"], table.loc["grade_mae"]
    assert error["value"] == pytest.approx(mean_absolute_error(true, said), abs=1e-5)
    expected = cohen_kappa_score(true, said, weights="quadratic")
    assert kappa["value"] == pytest.approx(expected, abs=1e-5)
    assert kappa["groups"] == error["groups"] == 16
    assert error["low"] <= error["value"] <= error["high"]
    assert main(["report", "r"]) == 0
    page = (tmp_path / "r/report.html").read_text()
    assert "Quadratic weighted kappa" in page
    assert "Mean absolute error in grades" in page


def test_classes_without_an_order_have_no_grades(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(build("test_resnet", 4).state_dict(), "plain.pt")
    words = ["--ckpt", "plain.pt", "--arch", "test_resnet", "--classes", ",".join(GRADES),
             "--size", "32", "--annotations", folder / "a.json", "--out", "r", "--bootstrap", "99",
             "--quiet"]  # fmt: skip
    assert main(["evaluate", *map(str, words)]) == 0
    assert not {"quadratic_kappa", "grade_mae"} & set(pd.read_csv("r/performance.csv")["metric"])
