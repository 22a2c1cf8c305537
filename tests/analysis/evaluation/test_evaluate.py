import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import xattn
import xattn.cli
from xattn.errors import RunError, UsageError, XattnError
from xattn.images import Preprocessing
from xattn.models import build, save_checkpoint
from xattn.runs.atomic import write_text
from xattn.splits.splits import write_splits

CLASSES = ["benign", "malignant"]
OF = ["train"] * 10 + ["val"] * 6 + ["test"] * 12 + ["ood"] * 12


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Forty images, their annotation file, and a checkpoint that knows its splits."""
    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    images = []
    for i in range(40):
        name = f"img{i:02d}"
        pixels = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        images.append({
            "id": name, "file": f"images/{name}.png", "label": CLASSES[i % 2],
            "group": f"lesion{i // 2}", "values": {"site": "back" if i % 4 < 2 else "arm"},
        })  # fmt: skip
    content = {
        "schema": "xattn-annotations/1", "labels": CLASSES,
        "features": {"site": {"kind": "metadata"}}, "images": images,
    }  # fmt: skip
    (root / "annotations.json").write_text(json.dumps(content))
    splits = {f"img{i:02d}": split for i, split in enumerate(OF)}
    domains = {f"img{i:02d}": "vienna" for i in range(28, 40)}
    sha256 = write_text(root / "splits.csv", write_splits(splits, domains))
    torch.manual_seed(0)
    save_checkpoint(
        root / "model.pt",
        build("test_resnet", 2),
        architecture="test_resnet",
        classes=CLASSES,
        preprocessing=Preprocessing(size=(32, 32)),
        extra={"splits_sha256": sha256},
    )
    return root


@pytest.fixture(scope="module")
def model(study):
    return xattn.load(study / "model.pt")


def evaluate(model, study, out, **options):
    options = {"bootstrap": 99, **options}
    return xattn.evaluate(model, study / "annotations.json", out, **options)


@pytest.fixture(scope="module")
def evaluated(model, study, tmp_path_factory):
    return evaluate(model, study, tmp_path_factory.mktemp("out") / "run")


def test_test_and_ood_are_evaluated_and_never_what_was_trained_on(evaluated):
    table = evaluated.run.predictions
    assert set(table["split"]) == {"test", "ood"}
    assert sorted(table["image_id"]) == [f"img{i}" for i in range(16, 40)]
    counts = evaluated.performance.groupby("split")["n"].first().to_dict()
    assert counts == {"test": 12, "ood": 12, "ood-test": 24}
    assert all(note.startswith("Fewer than 10 images of") for note in evaluated.notes)


def test_predictions_hold_what_later_stages_need(evaluated):
    table = evaluated.run.predictions.set_index("image_id")
    assert {"file", "width", "height", "predicted", "logit_benign", "prob_malignant"} <= set(table)
    row = table.loc["img30"]
    assert (row["split"], row["domain"], row["group"]) == ("ood", "vienna", "lesion15")
    assert table.loc["img20", "domain"] == ""
    assert evaluated.run.methods == []


def test_numbers_are_those_of_the_predictions(evaluated):
    table = evaluated.run.predictions
    own = table[table["split"] == "test"]
    hits = (own["label"] == own["predicted"]).groupby(own["label"]).mean()
    row = evaluated.performance.set_index(["split", "domain", "metric", "class"])
    got = row.loc["test", "all", "balanced_accuracy", "all"]
    assert got["value"] == pytest.approx(hits.mean())
    assert (got["groups"], got["chance"]) == (6, 0.5)
    stored = evaluated.run.table("performance")
    pd.testing.assert_frame_equal(stored, evaluated.performance)
    assert len(evaluated.run.table("reliability")) == len(evaluated.reliability)


def test_the_domains_of_the_splits_are_broken_down(evaluated):
    domains = evaluated.performance.groupby("split")["domain"].unique()
    assert list(domains["ood"]) == ["all", "vienna"]
    assert list(domains["test"]) == ["all"]


def test_a_feature_can_be_the_domain(model, study, tmp_path):
    got = evaluate(model, study, tmp_path / "run", domain="site")
    assert set(got.performance["domain"]) == {"all", "arm", "back"}
    with pytest.raises(UsageError, match="did you mean 'site'"):
        evaluate(model, study, tmp_path / "other", domain="sight")


def test_sentences_name_the_level_of_chance_and_the_gap(evaluated):
    assert evaluated.sentences[0].startswith("test (12 images of 6 groups): balanced accuracy")
    assert "chance 0.50" in evaluated.sentences[0]
    assert evaluated.sentences[-1].startswith("balanced accuracy on ood ")


def test_validation_images_have_to_be_asked_for_and_come_with_a_note(model, study, tmp_path):
    got = evaluate(model, study, tmp_path / "run", split=["val"])
    assert set(got.performance["split"]) == {"val"}
    assert any("model selection" in note for note in got.notes)


@pytest.mark.parametrize(("name", "message"), [("train", "remembers"), ("tset", "'test'")])
def test_other_splits_are_refused(model, study, tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        evaluate(model, study, tmp_path / "run", split=[name])


def test_a_test_set_that_is_not_like_the_training_images_is_told(study, tmp_path):
    model = xattn.load(study / "model.pt")
    line = "train, val and test are not alike in site (chance 0.001): 'arm': 50.0 % of train"
    model.source["extra"]["unlike"] = [line]
    assert evaluate(model, study, tmp_path / "run").notes[0] == f"In the training, {line}"
    notes = evaluate(model, study, tmp_path / "ood", split=["ood"]).notes
    assert not any("not alike" in note for note in notes)


def test_without_splits_all_is_evaluated_with_a_caveat(model, study, tmp_path):
    known = model.source
    model.source = {**known, "extra": {}}
    try:
        got = evaluate(model, study, tmp_path / "run")
        with pytest.raises(XattnError, match="Expected splits to choose test from"):
            evaluate(model, study, tmp_path / "other", split=["test"])
    finally:
        model.source = known
    assert set(got.performance["split"]) == {"all"}
    assert len(got.run.predictions) == 40
    assert "some may have been trained on" in got.notes[0]


def test_images_that_the_splits_do_not_know_are_an_external_test_set(model, study, tmp_path):
    text = (study / "annotations.json").read_text().replace('"img', '"new')
    (tmp_path / "new").mkdir()
    external = tmp_path / "new.json"
    external.write_text(text.replace("images/img", str(study / "images" / "img")))
    got = xattn.evaluate(model, external, tmp_path / "run", bootstrap=99)
    assert set(got.performance["split"]) == {"all"}
    assert "they are taken as images that the model was not trained on" in got.notes[0]


def test_only_training_images_are_refused(model, study, tmp_path):
    files = [study / "images" / f"img{i:02d}.png" for i in range(10)]
    with pytest.raises(XattnError, match="but all 10 are of train"):
        evaluate(model, study, tmp_path / "run", images=files)


def test_a_second_call_predicts_nothing_again_and_writes_the_same(model, study, tmp_path):
    first = evaluate(model, study, tmp_path / "run")
    files = ("performance.csv", "reliability.csv", "predictions.parquet", "evaluation.json")
    before = [(first.run.path / name).read_bytes() for name in files]
    seen = []
    evaluate(
        model, study, tmp_path / "run", progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(24, 24)]
    assert [(first.run.path / name).read_bytes() for name in files] == before


def test_a_call_that_was_stopped_goes_on(model, study, tmp_path):
    def stop(done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, study, tmp_path / "run", progress=stop, batch_size=4)
    got = evaluate(model, study, tmp_path / "run", batch_size=4)
    whole = evaluate(model, study, tmp_path / "whole", batch_size=4)
    pd.testing.assert_frame_equal(got.performance, whole.performance)


def test_a_run_with_maps_is_taken_as_it_is(model, study, tmp_path):
    run = xattn.explain(
        model, annotations=study / "annotations.json", out=tmp_path / "run",
        methods=["gradcam"], overlay="none",
    )  # fmt: skip
    maps = run.maps("gradcam")
    got = evaluate(model, study, run.path)
    assert got.run.methods == ["gradcam"]
    assert np.array_equal(got.run.maps("gradcam"), maps)
    assert len(got.run.predictions) == 40
    assert set(got.performance["split"]) == {"test", "ood", "ood-test"}
    assert got.run.predictions["split"].value_counts()["train"] == 10


def test_a_run_of_another_checkpoint_is_refused(model, study, tmp_path):
    evaluate(model, study, tmp_path / "run")
    torch.manual_seed(1)
    save_checkpoint(
        tmp_path / "other.pt", build("test_resnet", 2), architecture="test_resnet",
        classes=CLASSES, preprocessing=Preprocessing(size=(32, 32)),
    )  # fmt: skip
    with pytest.raises(RunError, match="checkpoint_sha256"):
        evaluate(xattn.load(tmp_path / "other.pt"), study, tmp_path / "run")


def test_a_trap_that_cannot_be_told_leaves_the_tables_of_an_earlier_call(model, study, tmp_path):
    first = xattn.evaluate(model, study / "annotations.json", tmp_path / "run", bootstrap=99)
    files = [first.run.path / name for name in ("evaluation.json", "performance.csv")]
    before = [file.read_bytes() for file in files]
    with pytest.raises(UsageError, match="rulr"):
        xattn.evaluate(
            model, study / "annotations.json", tmp_path / "run", bootstrap=99, trap=["rulr"]
        )
    assert [file.read_bytes() for file in files] == before
    first.run.require_whole()


def test_images_that_cannot_be_read_are_left_out_and_counted(model, study, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in (study / "images").glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "img17.png").write_bytes(b"no image")
    got = evaluate(model, study, tmp_path / "run", images=folder)
    assert got.performance.groupby("split")["n"].first()["test"] == 11
    assert any(note.startswith("1 images could not be read") for note in got.notes)


def test_the_command_prints_sentences_and_writes_tables(study, tmp_path, capsys):
    words = [
        "evaluate", "--ckpt", str(study / "model.pt"), "--annotations",
        str(study / "annotations.json"), "--out", str(tmp_path / "run"), "--bootstrap", "99",
    ]  # fmt: skip
    assert xattn.cli.main(words) == 0
    said = capsys.readouterr().out
    assert "ood (12 images of 6 groups)" in said
    assert "chance" in said
    assert (tmp_path / "run" / "performance.csv").is_file()
    assert xattn.cli.main([*words, "--split", "train"]) == 2
    assert "Expected a split that was not trained on" in capsys.readouterr().err
