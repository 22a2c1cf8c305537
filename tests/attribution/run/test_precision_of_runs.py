"""A run says in which precision it was made, and is gone on with in no other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.attribution.on_disk import tables
from tests.attribution.passes.test_precision import Loud
from tests.models.nets import Conv, with_statistics, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.errors import Remark, RunError, UsageError
from xattn.figures.page.model_card import model_card
from xattn.models import Model
from xattn.models.averaging import ensemble

METHODS = ["gradcam", "saliency"]


def net() -> Model:
    torch.manual_seed(1)
    return wrapped(with_statistics(Conv()).eval())


def run(images, out="run", model=None, **options):
    how = {"methods": METHODS, "overlay": "none", "accelerate": "torch", **options}
    return explain(model or net(), images, out=images.parent / out, **how)


def test_its_record_says_what_each_map_was_computed_in(images):
    found = run(images, precision="bf16").settings
    assert found["precision"] == "bf16"
    assert found["computed_in"] == {"predictions": "bf16", "gradcam": "bf16", "saliency": "32"}
    assert found["precision_note"] == ""
    assert found["calls"][0]["settings"]["precision"] == "bf16"


def test_32_is_the_default_and_changes_nothing(images):
    plain, said = run(images), run(images, "said", precision="32")
    assert tables(plain) == tables(said)
    for found in (plain, said):
        assert found.settings["precision"] == "32"
        assert "computed_in" not in found.settings
    for name in METHODS:
        assert np.array_equal(plain.maps(name), said.maps(name))


def test_predictions_and_maps_are_near_those_in_float32_and_not_the_same(images):
    low, full = run(images, precision="bf16"), run(images, "full")
    logits = [one.predictions.filter(like="logit_").to_numpy() for one in (low, full)]
    assert 0 < np.abs(logits[0] - logits[1]).max() < 0.1 * np.abs(logits[1]).max()
    expected = full.maps("saliency")
    np.testing.assert_allclose(
        low.maps("saliency"), expected, rtol=0, atol=1e-3 * np.abs(expected).max()
    )
    assert not np.array_equal(low.maps("gradcam"), full.maps("gradcam"))


def test_what_it_means_is_said_in_a_line_that_is_no_loss(images):
    notes: list[str] = []
    run(images, precision="bf16", on_note=notes.append)
    said = (
        "computed in bf16 up to the explained layer, predictions included; in float32 after it, "
        "and saliency as a whole"
    )
    assert said in notes
    assert all(isinstance(note, Remark) for note in notes)
    notes.clear()
    run(images, "full", on_note=notes.append)
    assert notes == []


def test_what_is_not_true_to_the_model_runs_in_float32_and_is_a_loss(images):
    torch.manual_seed(0)
    model, notes = wrapped(Loud().eval()), list[str]()
    low = run(images, model=model, precision="16", on_note=notes.append)
    assert set(low.settings["computed_in"].values()) == {"32"}
    why = "results differ by more than 0.05"
    assert low.settings["precision_note"] == why
    assert f"--precision 16 not taken, but float32: {why}" in notes
    assert not all(isinstance(note, Remark) for note in notes)
    full = run(images, "full", model=model)
    assert np.array_equal(low.maps("gradcam"), full.maps("gradcam"))


@pytest.mark.parametrize(("first", "then"), [("32", "bf16"), ("bf16", "32"), ("bf16", "16")])
def test_it_is_gone_on_with_in_no_other(images, first, then):
    before = tables(run(images, precision=first))
    with pytest.raises(RunError, match=f'Expected precision "{first}" as in .* got "{then}"'):
        run(images, precision=then)
    assert tables(run(images, precision=None)) == before


def test_images_and_methods_are_added_in_the_precision_that_is_there(images):
    first = images / "img_0.png"
    explain(
        net(), first, methods=["gradcam"], out=images.parent / "run", overlay="none",
        accelerate="torch", precision="bf16",
    )  # fmt: skip
    found = run(images, precision=None, methods=["layercam", "saliency"])
    assert found.settings["computed_in"] == {
        "predictions": "bf16", "gradcam": "bf16", "layercam": "bf16", "saliency": "32",
    }  # fmt: skip


def test_a_run_that_an_earlier_version_made_in_half_precision_is_not_gone_on_with(images):
    path = run(images).path / "run.json"
    record = json.loads(path.read_text())
    for name in ("precision", "checksum"):
        del record[name]
    path.write_text(json.dumps({**record, "amp": True, "device": "cuda:0"}))
    with pytest.raises(RunError, match="Expected a run in a precision that is known"):
        run(images)
    path.write_text(json.dumps({**record, "amp": True, "device": "cpu"}))  # it was ignored there
    run(images)


class Program(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))[:, :2]


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (net, {"exact": True}, "Expected --exact or --precision bf16, but got both"),
        (
            lambda: wrapped(Conv().double().eval()),
            {},
            "Expected weights of float32 for --precision bf16, but got float64",
        ),
        (
            lambda: wrapped(torch.jit.script(Program())),
            {"methods": "none"},
            "Expected a network whose layers can be seen for --precision bf16, but got TorchScript",
        ),
        (net, {"precision": "8"}, "Unknown precision '8'"),
    ],
    ids=["exact", "other weights", "no layers", "unknown"],
)
def test_what_cannot_be_is_refused_before_anything_is_written(images, model, options, said):
    with pytest.raises(UsageError, match=said):
        run(images, model=model(), **{"precision": "bf16", **options})
    assert not (images.parent / "run").exists()


def test_an_ensemble_says_it_too(images):
    found = run(images, model=ensemble([net(), net()]), precision="bf16").settings
    assert found["computed_in"] == {"predictions": "bf16", "gradcam": "bf16", "saliency": "32"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "float32"),
        (
            {"precision": "bf16"},
            "bfloat16 up to the explained layer, float32 after it; saliency in float32 as a whole",
        ),
    ],
    ids=["32", "bf16"],
)
def test_the_page_says_it(images, options, words):
    assert dict(model_card(run(images, **options)))["Precision"] == words
