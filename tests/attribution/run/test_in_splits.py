"""Only images of some splits are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attribution.on_disk import bright
from xattn.attribution.run.pipeline import explain
from xattn.errors import UsageError
from xattn.images.preprocessing import Preprocessing
from xattn.models import Model, build, load, save_checkpoint
from xattn.runs.record import file_sha256

SPLITS = ["train", "train", "val", "test", "test", "ood"]  # the seventh image is in none


@pytest.fixture
def model(images: Path) -> Model:
    """A model that knows the splits of six of the seven images."""
    lines = [f"img_{i},{split}," for i, split in enumerate(SPLITS)]
    splits = images.parent / "splits.csv"
    splits.write_text("\n".join(["image_id,split,domain", *lines]) + "\n")
    path = save_checkpoint(
        images.parent / "model.pt",
        build("test_resnet", 2),
        architecture="test_resnet",
        classes=["a", "b"],
        preprocessing=Preprocessing(size=(32, 32)),
        extra={"splits_sha256": file_sha256(splits)},
    )
    return load(path)


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        (None, [0, 1, 2, 3, 4, 5, 6]),
        ("test", [3, 4]),
        (["test", "ood"], [3, 4, 5]),
        (("val",), [2]),
    ],
)
def test_images_of_other_splits_and_of_none_are_left_out_and_counted(images, model, split, wanted):
    notes: list[str] = []
    out = images.parent / "run"
    run = explain(model, images, out=out, split=split, overlay="none", on_note=notes.append)
    assert list(run.predictions["image_id"]) == [f"img_{i}" for i in wanted]
    assert run.settings["counts"]["images"] == len(wanted)
    left = [note for note in notes if "left out" in note]
    if split is None:
        assert not left
    else:
        assert f"{7 - len(wanted)} images are not in " in left[0]
        assert "1 of them in no split of the training" in left[0]


def test_the_others_can_be_added_later(images, model):
    out = images.parent / "run"
    explain(model, images, out=out, split="test", overlay="none")
    run = explain(model, images, out=out, overlay="none")
    assert len(run.predictions) == 7
    assert run.settings["counts"]["images"] == 7


def test_a_split_that_is_none_is_refused_before_anything_is_written(images, model):
    out = images.parent / "run"
    with pytest.raises(UsageError, match=r"got 'tset'; did you mean 'test'"):
        explain(model, images, out=out, split="tset")
    assert not out.exists()


def test_a_checkpoint_that_knows_no_splits_is_refused_with_the_reason(images):
    out = images.parent / "run"
    with pytest.raises(UsageError, match="without --split all images are explained"):
        explain(bright(), images, out=out, split="test")
    assert not out.exists()


def test_no_image_in_a_split_names_the_file_of_splits(images, model):
    with pytest.raises(UsageError, match=r"images in test of .*splits\.csv, but none of 1"):
        explain(model, images / "img_0.png", out=images.parent / "run", split="test")


def test_a_split_without_images_is_named_beside_one_with(images, model):
    notes: list[str] = []
    chosen = [images / f"img_{i}.png" for i in range(5)]
    out = images.parent / "run"
    explain(model, chosen, out=out, split=["test", "ood"], overlay="none", on_note=notes.append)
    assert "no image is in ood" in notes


def test_the_reason_names_no_option_that_the_command_lacks(images, model):
    (images.parent / "splits.csv").unlink()
    with pytest.raises(UsageError) as found:
        explain(model, images, out=images.parent / "run", split="test")
    assert "is not there; without --split" in str(found.value)
