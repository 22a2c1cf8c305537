"""A model of a value, as of a regression: maps, tests and metrics of the value, and no classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score
from torch import Tensor, nn

import xattn
from tests.models.nets import Conv, plain, with_statistics
from xattn.analysis.evaluation.values import METRICS, value_metrics
from xattn.errors import CheckpointError, UsageError
from xattn.models import wrap
from xattn.runs.atomic import read_record
from xattn.synthetic.dataset import synthesize

QUICK = {"permutations": 39, "bootstrap": 99, "interventions": 4, "computed": False}


class Redness(nn.Module):
    """Gives how much redder than blue an image is: a value of about 0 to 100."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 2, 4, 4)
        self.head = nn.Linear(2, 1)
        nn.init.zeros_(self.body.weight)
        self.body.weight.data[0, 0] = self.body.weight.data[1, 2] = 1 / 16
        nn.init.zeros_(self.body.bias)
        self.head.weight.data = torch.tensor([[100.0, -100.0]])
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def redness(name: str = "redness"):
    return wrap(Redness().eval(), classes=[name], preprocessing=plain((64, 80)), outputs="value")


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    file = synthesize(tmp_path_factory.mktemp("data"), 40, size=(64, 80), seed=7)
    content = json.loads(file.read_text(encoding="utf-8"))
    draw = np.random.default_rng(0)
    for i, image in enumerate(content["images"]):
        image.setdefault("values", {})["redness"] = float(draw.normal(20, 8))
        if i % 8 == 0:
            del image["values"]["redness"]
    path = file.with_name("values.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory, known):
    model, out = redness(), tmp_path_factory.mktemp("run") / "run"
    run = xattn.explain(
        model, methods=["gradcam", "saliency"], annotations=known, out=out, overlay="none"
    )
    return xattn.feature_usage(run, known, model=model, **QUICK)


class TestARun:
    def test_has_a_value_and_no_classes(self, found):
        table = found.run.predictions
        assert "value_redness" in table
        assert not [c for c in table if c.startswith(("logit_", "prob_"))]
        assert table["predicted"].isna().all()
        assert found.run.settings["outputs"] == "value"
        assert found.run.methods == ["gradcam", "saliency"]
        assert np.abs(found.run.maps("gradcam")).max() > 0

    def test_is_tested_within_strata_of_the_reference(self, found):
        usage = found.usage
        assert set(usage["target"]) == {"redness"}
        facts = read_record(found.run.path / "analysis.json")["by_target"]
        assert facts["redness"]["counts"]["labelled"] == 35
        assert "redness" not in set(usage["feature"])
        assert "Of 5 images redness is not known: left out" in found.notes
        assert any("what the model's value is held against" in note for note in found.notes)
        labels = set(found.alignment["label"]) - {"all"}
        assert len(labels) == 2
        assert all(" to " in label for label in labels)

    def test_has_edits_that_change_the_value_and_no_decisions(self, found):
        edits = found.interventions
        assert edits["delta_logit"].notna().any()
        assert edits["flip_rate"].isna().all()
        assert not found.verdicts["verdict"].str.contains("decisions").any()
        assert not len(found.bias)

    def test_has_a_page(self, found):
        page = xattn.report(found.run, gallery=4)
        own = page.read_text(encoding="utf-8")
        assert not page.with_name("report-redness.html").exists()
        assert "redness" in own
        assert "malignant" not in own.split("</main>")[0].split("run.json")[0]
        assert "nan" not in own.lower().split("<script>")[0].replace("finance", "")

    def test_is_not_asked_for_probabilities(self, found):
        model = redness()
        with pytest.raises(UsageError, match="the outputs are values"):
            model.probabilities(torch.zeros(1, 3, 64, 80))


class TestMetrics:
    def test_are_those_of_scikit_learn_and_scipy(self):
        draw = np.random.default_rng(1)
        truth = draw.integers(0, 5, 60).astype(float)
        value = truth + draw.normal(0, 1, 60).round(1)
        found = dict(zip(METRICS, value_metrics(value, truth, np.ones((1, 60)))[0], strict=True))
        assert found["r2"] == pytest.approx(r2_score(truth, value))
        assert found["mae"] == pytest.approx(mean_absolute_error(truth, value))
        assert found["spearman"] == pytest.approx(spearmanr(value, truth).statistic)
        assert found["mean_error"] == pytest.approx((value - truth).mean())

    def test_of_weights_are_those_of_images_as_often(self):
        draw = np.random.default_rng(2)
        truth, value = draw.normal(size=(2, 20))
        weights = draw.integers(0, 4, 20)
        repeated = np.repeat(np.arange(20), weights)
        ours = value_metrics(value, truth, weights[None].astype(float))
        ones = np.ones((1, len(repeated)))
        np.testing.assert_allclose(ours, value_metrics(value[repeated], truth[repeated], ones))

    def test_have_intervals_and_are_of_images_whose_value_is_known(self, tmp_path, known):
        found = xattn.evaluate(redness(), known, tmp_path / "run", bootstrap=199)
        table = found.performance.set_index("metric")
        assert list(table.index) == list(METRICS)
        assert (table["n"] == 35).all()
        assert (table["low"] <= table["value"]).all()
        assert (table["value"] <= table["high"]).all()
        assert found.sentences[0].startswith("redness: all (35 images")
        assert pd.read_csv(found.run.path / "confusion.csv").empty


class TestNames:
    def test_may_be_left_out_for_a_single_value(self):
        model = wrap(Redness().eval(), preprocessing=plain((64, 80)), outputs="value")
        assert model.classes == ["value"]
        assert model.outputs.describe(model.classes) == "a value, no class"

    def test_are_as_many_as_the_values(self):
        torch.manual_seed(0)
        net = with_statistics(Conv()).eval()
        model = wrap(net, classes=["age"], preprocessing=plain(), outputs="value")
        with pytest.raises(CheckpointError, match=r"a name for each of the 2 values.*got 1: age"):
            _ = model.outputs
        both = wrap(net, classes=["age", "weight"], preprocessing=plain(), outputs="value")
        assert both.outputs.of_value
        assert not both.outputs.exclusive

    def test_of_classes_are_never_left_out(self):
        with pytest.raises(UsageError, match="Expected the names of the classes"):
            wrap(Redness().eval(), preprocessing=plain((64, 80)))
