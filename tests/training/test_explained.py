"""What `explain` knows of the part that images had in a checkpoint's training."""

import shutil

import pandas as pd
import pytest

from tests.training.fitted import B, M, run
from xattn.attribution.run.pipeline import explain
from xattn.models import load


@pytest.fixture
def trained(study, tmp_path):
    """A checkpoint, and its images with one that it never saw."""
    notes = study([B, M] * 15)
    images = notes.parent / "images"
    checkpoint = run(notes, tmp_path / "out").checkpoint
    shutil.copy(images / "img000.png", images / "new.png")
    return checkpoint, images


def explained(trained, out):
    checkpoint, images = trained
    return explain(load(checkpoint), images, methods=["gradcam"], out=out, overlay="none")


def test_each_image_has_its_split_and_one_of_no_split_has_none(trained, tmp_path):
    found = explained(trained, tmp_path / "run").predictions.set_index("image_id")["split"]
    splits = pd.read_csv(trained[0].parent / "splits.csv").set_index("image_id")["split"]
    assert found.pop("new") == ""
    assert found.to_dict() == splits.to_dict()
    assert {"train", "val", "test"} == set(found)


@pytest.mark.parametrize("state", ["gone", "changed"])
def test_splits_that_are_not_those_of_the_training_say_nothing(trained, tmp_path, state):
    splits = trained[0].parent / "splits.csv"
    if state == "gone":
        splits.unlink()
    else:
        splits.write_text(splits.read_text().replace(",train", ",test", 1))
    assert "split" not in explained(trained, tmp_path / "run").predictions


def test_a_call_that_adds_images_ends_with_the_bytes_of_one_call(trained, tmp_path):
    images = trained[1]
    later = images.parent / "later.png"
    (images / "new.png").rename(later)
    explained(trained, tmp_path / "twice")
    later.rename(images / "new.png")
    explained(trained, tmp_path / "twice")
    explained(trained, tmp_path / "once")
    one, two = (pd.read_parquet(tmp_path / n / "predictions.parquet") for n in ("once", "twice"))
    pd.testing.assert_frame_equal(one, two)
