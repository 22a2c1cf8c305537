"""Splits that came as one list each."""

from __future__ import annotations

from pathlib import Path

import pytest

import xattn.cli
from xattn.annotations import read_annotations
from xattn.errors import UsageError, XattnError
from xattn.splits.make import split_images
from xattn.splits.splits import read_splits

B, M = "benign", "malignant"
TRAP_SETS = Path(__file__).parents[2] / "../shared/data/isic2018/trap_sets"


def listed(path: Path, images, column="image", ending=".png") -> Path:
    path.write_text(f",{column},ruler\n" + "".join(f"0,img{i:03d}{ending},1\n" for i in images))
    return path


@pytest.fixture
def notes(study):
    """40 images; 0 and 39 are of one lesion, as are 8 and 30."""
    groups = [{0: "a", 39: "a", 8: "b", 30: "b"}.get(i) for i in range(40)]
    return study([B, M] * 20, groups=groups)


@pytest.fixture
def lists(tmp_path):
    return {
        "train": listed(tmp_path / "train.csv", range(28)),
        "val": listed(tmp_path / "val.csv", range(20, 28)),  # in train as well, as published
        "ood": listed(tmp_path / "test.csv", range(28, 40)),
    }


def test_lists_become_splits_that_do_not_leak(notes, lists):
    made = split_images(read_annotations(notes), lists=lists)
    by_split = {s: sorted(i for i, own in made.splits.items() if own == s)
                for s in ("train", "val", "test", "ood")}  # fmt: skip
    assert by_split["val"] == [f"img{i:03d}" for i in range(20, 28)]
    assert by_split["ood"] == [f"img{i:03d}" for i in range(28, 40)]
    assert by_split["train"] == [f"img{i:03d}" for i in range(20) if i not in (0, 8)]
    assert by_split["test"] == []
    assert made.notes == (
        "8 images of train that are in another list too are not trained on",
        "2 images of train are left out: their group, or a copy of them, is held out",
    )


def test_the_command_writes_what_a_training_takes(notes, lists, tmp_path, capsys):
    out = tmp_path / "splits.csv"
    words = [w for name, path in lists.items() for w in ("--list", f"{name}={path}")]
    assert xattn.cli.main(["annotations", "split", str(notes), "--out", str(out), *words]) == 0
    assert "ood: 12 images" in capsys.readouterr().out
    assert read_splits(out) == split_images(read_annotations(notes), lists=lists).splits


@pytest.mark.parametrize("column", ["image_id", "image", "isic_id", "File"])
@pytest.mark.parametrize("ending", ["", ".jpg", ".PNG"])
def test_images_are_known_by_id_or_file_name(notes, lists, tmp_path, column, ending):
    expected = split_images(read_annotations(notes), lists=lists).splits
    lists["ood"] = listed(tmp_path / "other.csv", range(28, 40), column, ending)
    assert split_images(read_annotations(notes), lists=lists).splits == expected


def test_images_in_no_list_are_left_out_and_counted(notes, lists, tmp_path):
    lists["ood"] = listed(tmp_path / "few.csv", range(28, 34))
    made = split_images(read_annotations(notes), lists=lists)
    assert len(made.splits) < 34
    assert "6 images are in no list and are left out" in made.notes


def test_lists_that_cannot_be_meant_are_refused(notes, lists, tmp_path):
    known = read_annotations(notes)

    def wrong(error, message, **changes):
        with pytest.raises(error, match=message):
            split_images(known, lists={**lists, **changes})

    wrong(XattnError, "img020 is in the lists of val and test", test=lists["val"])
    wrong(UsageError, "did you mean 'test'", tset=lists["val"])
    wrong(XattnError, "Expected a .* at .*nowhere", ood=tmp_path / "nowhere.csv")
    (tmp_path / "bare.csv").write_text("a,b\n1,2\n")
    wrong(XattnError, "Expected a column of images in .*but got a, b", ood=tmp_path / "bare.csv")
    wrong(XattnError, "share no id", ood=listed(tmp_path / "far.csv", [777]))
    words = ["annotations", "split", str(notes), "--list", "train"]
    assert xattn.cli.main(words) == 2


@pytest.mark.skipif(not TRAP_SETS.is_dir(), reason="the real trap sets are not at ../shared/data")
@pytest.mark.parametrize("number", [1, 5])
def test_the_published_trap_sets_are_read(number, study):
    import pandas as pd

    paths = {
        split: TRAP_SETS / f"isic_annotated_{name}{number}.csv"
        for split, name in (("train", "train"), ("val", "val"), ("ood", "test"))
    }
    tables = {split: pd.read_csv(path) for split, path in paths.items()}
    some = pd.concat([t.groupby("label_string").head(9) for t in tables.values()])
    some = some.drop_duplicates("image")
    notes = study(list(some["label_string"]))
    text = notes.read_text()
    for i, name in enumerate(some["image"]):
        text = text.replace(f'"id": "img{i:03d}"', f'"id": "{Path(name).stem}"')
    notes.write_text(text)
    splits = split_images(read_annotations(notes), lists=paths).splits
    for split in ("val", "ood"):
        own = {Path(name).stem for name in tables[split]["image"]}
        assert {i for i, s in splits.items() if s == split} == own & set(splits)
        assert len(own & set(splits)) >= 18
