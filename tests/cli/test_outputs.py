"""What a run, its record and the later commands make of a model's outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import xattn
from tests.models.nets import Conv, plain, with_statistics
from xattn.errors import RunError, UsageError
from xattn.figures.registry import save_figures
from xattn.models import wrap
from xattn.runs.atomic import read_record

FINDINGS = ["effusion", "nodule", "mass"]


def net(outputs: int, end: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(2)
    made = with_statistics(Conv())
    made.fc = nn.Linear(6, outputs)
    nn.init.normal_(made.fc.weight)
    return (made if end is None else nn.Sequential(made, end)).eval()


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def findings():
    return wrap(net(3), classes=FINDINGS, preprocessing=plain(), outputs="sigmoid")


def test_a_finding_by_itself_has_one_logit_and_no_opposite():
    module, images_ = net(1), torch.rand(3, 3, 32, 48)
    alone = wrap(module, classes=["mass"], preprocessing=plain(), outputs="sigmoid")
    logits = alone.logits(images_)
    torch.testing.assert_close(logits, module(images_), check_dtype=False)
    torch.testing.assert_close(alone.probabilities(images_), logits.sigmoid(), check_dtype=False)
    assert alone.outputs_in_words() == "one independent logit of mass"


class TestIndependentFindings:
    def test_have_a_probability_and_a_map_each_and_no_prediction(self, images, findings):
        run = xattn.explain(findings, images, methods="gradcam", out=images.parent / "run")
        table = run.predictions
        assert table["predicted"].isna().all()
        for name in FINDINGS:
            logits = table[f"logit_{name}"].to_numpy()
            np.testing.assert_allclose(table[f"prob_{name}"], 1 / (1 + np.exp(-logits)))
        assert run.methods == ["gradcam", "gradcam@nodule", "gradcam@mass"]
        assert set(table["explained"]) == {"effusion"}
        assert run.settings["outputs"] == "sigmoid"
        assert not run.exclusive

    def test_are_explained_by_name(self, images, findings):
        run = xattn.explain(findings, images, target="mass", out=images.parent / "run")
        assert run.methods == ["gradcam"]
        assert set(run.predictions["explained"]) == {"mass"}

    @pytest.mark.parametrize("target", ["predicted", "label"])
    def test_have_no_predicted_or_labelled_one_to_explain(self, images, findings, target):
        with pytest.raises(UsageError, match=r"are independent.*name one with --target, or all"):
            xattn.explain(findings, images, target=target, out=images.parent / "run")

    def test_are_refused_where_classes_must_exclude_each_other(self, images, findings):
        run = xattn.explain(findings, images, out=images.parent / "run")
        with pytest.raises(UsageError, match=r"exclude each other.*such as --target mass"):
            xattn.compare([run.path, run.path], images.parent / "compared")

    def test_are_measured_one_at_a_time(self, images):
        names = ["no mass", "mass"]
        one = wrap(net(3), classes=names, preprocessing=plain(), output=2)
        found = xattn.evaluate(
            one, _annotated(images, names), images.parent / "evaluated", bootstrap=99
        )
        assert set(found.performance["class"].dropna()) <= {*names, "all"}

    def test_are_shown_on_the_page_and_in_figures(self, images, findings):
        run = xattn.explain(findings, images, out=images.parent / "run")
        page = xattn.report(run).read_text(encoding="utf-8")
        assert "--outputs sigmoid" in page
        own = (run.path / "report-mass.html").read_text(encoding="utf-8")
        assert ">None <" not in page + own
        assert save_figures([run.path])


class TestTheRecord:
    def test_says_what_outputs_were_taken_as(self, images):
        model = wrap(net(2, nn.Softmax(1)), classes=["a", "b"], preprocessing=plain())
        run = xattn.explain(model, images, out=images.parent / "run")
        assert run.settings["outputs"] == "probabilities"
        assert "softmax inside" in run.settings["readout"]["note"]
        given = model.module(torch.stack([_input(images / f"{i}.png") for i in range(4)]))
        probabilities = run.predictions[["prob_a", "prob_b"]].to_numpy()
        np.testing.assert_allclose(probabilities, given.detach().numpy(), atol=1e-6)

    def test_is_not_gone_on_with_under_other_outputs(self, images):
        of = {"classes": FINDINGS, "preprocessing": plain(), "target_layer": "bn2"}
        out = images.parent / "run"
        xattn.explain(wrap(net(3), **of, outputs="sigmoid"), images, out=out, target="mass")
        with pytest.raises(RunError, match=r'outputs "sigmoid" as in.*but got "softmax"'):
            xattn.explain(wrap(net(3), **of, outputs="softmax"), images, out=out, target="mass")

    def test_of_an_evaluation_says_it_too(self, images):
        model = wrap(net(1), classes=["a", "b"], preprocessing=plain())
        found = xattn.evaluate(
            model, _annotated(images, ["a", "b"]), images.parent / "run", bootstrap=99
        )
        facts = read_record(found.run.path / "evaluation.json")
        assert facts["outputs"] == "softmax"
        assert (found.run.predictions["logit_a"] == 0).all()

    def test_of_three_logits_notes_that_classes_were_assumed(self, images):
        model = wrap(net(3), classes=FINDINGS, preprocessing=plain())
        run = xattn.explain(model, images, out=images.parent / "run")
        assert "--outputs sigmoid" in run.settings["readout"]["note"]


def _input(file: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(file)) / 255).float().permute(2, 0, 1)


def _annotated(images: Path, labels: list[str] = FINDINGS) -> Path:
    file = images.parent / "known.json"
    rows = [
        {"id": f"{i}", "file": f"images/{i}.png", "label": labels[i % len(labels)]}
        for i in range(4)
    ]
    facts = {"schema": "xattn-annotations/1", "labels": labels, "features": {}, "images": rows}
    file.write_text(json.dumps(facts))
    return file


def test_a_missing_prediction_is_missing_in_the_table_on_disk(images, findings):
    run = xattn.explain(findings, images, out=images.parent / "run")
    assert pd.read_parquet(run.path / "predictions.parquet")["predicted"].isna().all()
