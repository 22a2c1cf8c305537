"""A run that is there is added to: methods, labels, an evaluation, images that were replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.attribution.on_disk import bright, noise, tables
from tests.models.nets import Conv, wrapped
from xattn.analysis.evaluation.evaluate import evaluate
from xattn.attribution.run.pipeline import explain
from xattn.errors import RunError
from xattn.runs import RunFolder


def annotate(images: Path, labels: dict[int, str]) -> Path:
    path = images.parent / "annotations.json"
    entries = [
        {"id": f"img_{i}", "file": f"images/img_{i}.png"}
        | ({"label": labels[i]} if i in labels else {})
        for i in range(7)
    ]
    content = {"schema": "xattn-annotations/1", "labels": ["benign", "malignant"], "features": {},
               "images": entries}  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def again(model, images, out, **options) -> tuple[RunFolder, list[str], int]:
    """Explain, and say what was remarked and how many images went through the model."""
    seen: list[int] = []
    hook = model.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    notes: list[str] = []
    options = {"exact": True, **options}
    run = explain(model, images, out=out, on_change=notes.append, **options)
    hook.remove()
    return run, notes, sum(seen)


def test_another_method_is_computed_alone_and_equals_a_run_of_both(images):
    model = wrapped(Conv().eval())
    both, _, _ = again(model, images, images.parent / "both", methods=["gradcam", "hirescam"])
    out = images.parent / "run"
    again(model, images, out, methods=["gradcam"])
    overlays = {p: p.stat().st_mtime_ns for p in (out / "overlays/gradcam").iterdir()}
    run, notes, passes = again(model, images, out, methods=["hirescam"])
    assert notes == ["added to what is there: hirescam"]
    assert passes == 7
    assert run.methods == ["gradcam", "hirescam"]
    np.testing.assert_allclose(run.maps("hirescam"), both.maps("hirescam"), atol=1e-6)
    assert set(run.settings["map_layers"]) == {"gradcam", "hirescam"}
    assert {p: p.stat().st_mtime_ns for p in (out / "overlays/gradcam").iterdir()} == overlays
    assert len(list((out / "overlays/hirescam").iterdir())) == 7
    assert again(model, images, out, methods=["gradcam"])[1:] == ([], 0)


def test_new_images_get_the_maps_of_all_methods(images):
    model, out = wrapped(Conv().eval()), images.parent / "run"
    again(model, images, out, methods=["gradcam"])
    noise(images / "new.png", seed=9)
    run, _, passes = again(model, images, out, methods=["hirescam"])
    assert passes == 8
    assert len(run.maps("gradcam")) == len(run.maps("hirescam")) == 8


def test_a_method_is_added_to_images_that_the_call_does_not_name(images):
    model, out = wrapped(Conv().eval()), images.parent / "run"
    again(model, images, out, methods=["gradcam"])
    run, _, _ = again(model, images / "img_3.png", out, methods=["hirescam"])
    assert len(run.maps("hirescam")) == 7
    (images / "img_5.png").unlink()
    with pytest.raises(RunError, match=r"img_5.png to add its maps of layercam"):
        again(model, images, out, methods=["layercam"])


def test_maps_are_not_added_to_other_predictions(images):
    """Of a run that does not say what its files were."""
    model, out = bright(), images.parent / "run"
    run, _, _ = again(model, images, out, methods=["gradcam"])
    before = tables(run)
    (out / "inputs.parquet").unlink()
    noise(images / "img_4.png", (60, 44), seed=99)
    from PIL import Image

    Image.new("RGB", (60, 44), (255, 255, 255)).save(images / "img_4.png")
    with pytest.raises(RunError, match=r"Expected the logits of images/img_4.png as in"):
        again(model, images, out, methods=["hirescam"])
    assert tables(RunFolder.open(out)) == before


class TestImagesThatWereReplaced:
    def test_are_done_again_in_their_place(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        for i in (2, 5):
            noise(images / f"img_{i}.png", (60, 40 + i), seed=90 + i)
        run, notes, passes = again(model, images, out)
        assert passes == 2
        assert notes == [
            "2 images (images/img_2.png, images/img_5.png) replaced under the same name: done again"
        ]
        fresh, _, _ = again(model, images, images.parent / "fresh")
        pd.testing.assert_frame_equal(run.predictions, fresh.predictions)
        np.testing.assert_allclose(run.maps("gradcam"), fresh.maps("gradcam"), atol=1e-6)
        drawn = [(p / "overlays/gradcam/img_2.png").read_bytes() for p in (out, fresh.path)]
        assert drawn[0] == drawn[1]
        assert again(model, images, out)[1:] == ([], 0)

    def test_are_those_of_another_content_not_those_that_were_touched(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        os.utime(images / "img_2.png", ns=(0, 0))
        assert again(model, images, out)[1:] == ([], 0)

    def test_of_the_same_size_are_noticed(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        path = images / "img_2.png"
        size = path.stat().st_size
        noise(path, (60, 42), seed=91)
        data = path.read_bytes()
        path.write_bytes(data + bytes(max(0, size - len(data))))
        assert again(model, images, out)[2] == 1

    def test_that_are_gone_are_named_and_stay(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        (images / "img_2.png").unlink()
        run, notes, _ = again(model, images, out)
        assert len(run.predictions) == 7
        assert notes == [
            "1 image (images/img_2.png) of the run no longer there: what was found of them stays"
        ]

    def test_cannot_be_told_in_a_run_of_an_earlier_version_and_that_is_said(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        (out / "inputs.parquet").unlink()
        _, (note,), _ = again(model, images, out)
        assert "what the files of 7 images were is not recorded" in note


class TestLabelsThatComeLater:
    def test_are_filled_in_without_a_pass(self, images):
        model, out = bright(), images.parent / "run"
        again(model, images, out)
        known = annotate(images, {0: "benign", 3: "malignant"})
        run, notes, passes = again(model, None, out, annotations=known)
        assert passes == 0
        assert notes == ["labels of 2 images (img_0, img_3) filled in"]
        labels = run.predictions.set_index("image_id")["label"]
        assert (labels["img_0"], labels["img_3"]) == ("benign", "malignant")
        assert labels.isna().sum() == 5

    def test_and_change_are_named(self, images):
        model, out = bright(), images.parent / "run"
        again(model, None, out, annotations=annotate(images, {0: "benign"}))
        known = annotate(images, {0: "malignant"})
        run, notes, _ = again(model, None, out, annotations=known)
        assert notes == ["labels of 1 image (img_0 (benign, now malignant)) changed"]
        assert run.predictions["label"][0] == "malignant"

    def test_make_maps_of_the_label_anew(self, images):
        model, out = bright(), images.parent / "run"
        known = annotate(images, {0: "benign", 1: "malignant"})
        again(model, None, out, annotations=known, target="label")
        known = annotate(images, {0: "malignant", 1: "malignant"})
        run, notes, passes = again(model, None, out, annotations=known, target="label")
        assert passes == 1
        assert notes[-1] == "maps of 1 image made again for the new labels"
        assert run.predictions["explained"][0] == "malignant"


@pytest.mark.parametrize("first", ["explain", "evaluate"])
def test_an_evaluation_and_maps_go_into_one_folder_in_either_order(images, first):
    model, out = bright(), images.parent / "run"
    known = annotate(images, {i: ("benign", "malignant")[i % 2] for i in range(7)})
    jobs = {
        "explain": lambda: again(model, None, out, annotations=known, exact=False),
        "evaluate": lambda: evaluate(model, known, out, bootstrap=99),
    }
    jobs.pop(first)()
    next(iter(jobs.values()))()
    run = RunFolder.open(out)
    assert run.methods == ["gradcam"]
    assert run.has_table("performance")
    assert len(list((out / "overlays/gradcam").iterdir())) == 7
    assert list(run.predictions["label"]) == [("benign", "malignant")[i % 2] for i in range(7)]


def test_an_evaluation_of_some_images_leaves_the_labels_of_the_others(images):
    model, out = bright(), images.parent / "run"
    labels = {i: ("benign", "malignant")[i % 2] for i in range(7)}
    again(model, None, out, annotations=annotate(images, labels))
    evaluate(model, annotate(images, {i: labels[i] for i in range(4)}), out, bootstrap=99)
    assert list(RunFolder.open(out).predictions["label"]) == list(labels.values())
