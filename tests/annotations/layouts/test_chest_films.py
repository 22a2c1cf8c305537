"""Chest films have lists of findings, as the tables of three data sets say them."""

from __future__ import annotations

from tests.annotations.layouts import findings_miniatures as made
from xattn.annotations import build_annotations, check_annotations
from xattn.annotations.layouts.chest_films import FINDINGS_NIH


def build(root, **more):
    built = build_annotations(None, root, root.parent / "a.json", **more)
    assert check_annotations(built.path) == []
    return built


def test_chestxray14_has_lists_and_its_official_split(tmp_path):
    built = build(made.chestxray14(tmp_path / "d"))
    assert "layout: chestxray14, as the folder looks" in built.notes
    assert built.labels == FINDINGS_NIH
    assert built.images[0].shows("Hernia") is False
    assert [(one.id, one.findings, one.group) for one in built.images] == [
        ("00000001_000", ("Cardiomegaly",), "1"),
        ("00000001_001", ("Cardiomegaly", "Effusion"), "1"),
        ("00000002_000", (), "2"),
    ]
    assert [one.values["age"] for one in built.images] == [57, 58, 81]
    assert [one.values["official_split"] for one in built.images] == [
        "train_val", "train_val", "test",
    ]  # fmt: skip
    assert built.images[1].values["view"] == "AP"
    assert "images: 1 of 4 that the table names are not there" in built.notes


def test_chexpert_tells_absent_from_uncertain(tmp_path):
    built = build(made.chexpert(tmp_path))
    assert "layout: chexpert, as the folder looks" in built.notes
    ids = [one.id for one in built.images]
    assert ids[0] == "patient00001_study1_view1_frontal"
    by_id = built.by_id
    first, second = by_id[ids[0]], by_id[ids[1]]
    assert set(first.findings) == {"No Finding", "Support Devices"}
    assert first.shows("Pneumothorax") is False
    assert (second.shows("Edema"), second.shows("Fracture")) == (None, True)
    assert by_id[ids[1]].group == by_id[ids[2]].group == "patient00002"
    assert [one.values["official_split"] for one in built.images] == ["train"] * 3 + ["val"]
    assert by_id[ids[2]].values["view"] == "Lateral"
    assert any("2 of -1 are uncertain, and not known" in note for note in built.notes)


def test_mimic_cxr_labels_every_film_of_a_study_from_packed_tables(tmp_path):
    built = build(made.mimic_cxr(tmp_path / "d"))
    assert "layout: mimic_cxr, as the folder looks" in built.notes
    assert [(one.id, one.findings, one.unknown) for one in built.images] == [
        ("02aa804e", ("Edema",), ()),
        ("174413ec", ("Edema",), ()),
        ("abea5eb9", (), ("Edema",)),
    ]
    assert [one.values["official_split"] for one in built.images] == ["train", "val", "test"]
    assert built.images[0].group == built.images[1].group == "patient 10000032"


def test_films_in_folders_that_the_table_does_not_name_are_found(tmp_path):
    root = made.chexpert(tmp_path)
    (root / "train").rename(root / "CheXpert-v1.0 batch 2 (train 1)")
    built = build(root)
    assert [one.values["official_split"] for one in built.images] == ["train"] * 3 + ["val"]
