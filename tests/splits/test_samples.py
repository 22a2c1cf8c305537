from __future__ import annotations

from pathlib import Path

import pytest

from xattn.annotations import read_annotations
from xattn.errors import UsageError, XattnError
from xattn.splits.samples import check_classes, count_labels, select_samples

B, M = "benign", "malignant"


def test_labels_become_indices_in_the_files_order(study):
    notes = read_annotations(study([M, B, M], groups=["x", None, "x"]))
    samples, unlabelled = select_samples(notes)
    assert [(s.id, s.label, s.group) for s in samples] == [
        ("img000", 1, "x"),
        ("img001", 0, None),
        ("img002", 1, "x"),
    ]
    assert all(s.file.is_file() for s in samples)
    assert unlabelled == []
    assert count_labels(samples, notes.labels) == {B: 1, M: 2}


def test_images_without_a_label_are_reported_and_the_others_go_on(study):
    samples, unlabelled = select_samples(read_annotations(study([M, None, B])))
    assert [s.id for s in samples] == ["img000", "img002"]
    assert [f.file.name for f in unlabelled] == ["img001.png"]
    assert "img001.png: Expected a label" in str(unlabelled[0])


def test_no_label_at_all_is_an_error(study):
    with pytest.raises(XattnError, match="none of 2 has one"):
        select_samples(read_annotations(study([None, None])))


def test_a_folder_chooses_a_subset_by_id(study, tmp_path: Path):
    notes = read_annotations(study([M, B, M]))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (notes.images[1].file).rename(folder / "img001.png")
    samples, _ = select_samples(notes, folder)
    assert [(s.id, s.file) for s in samples] == [("img001", folder / "img001.png")]


def test_a_folder_of_other_images_is_an_error(study, tmp_path: Path):
    notes = read_annotations(study([M, B]))
    (tmp_path / "other.png").write_bytes(b"x")
    with pytest.raises(XattnError, match="of its 2 images none is there"):
        select_samples(notes, tmp_path / "other.png")
    with pytest.raises(UsageError):
        select_samples(notes, tmp_path / "absent")


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([B, B], (B, M), r"none of malignant \(2 benign, 0 malignant\)"),
        ([B, B], (B,), "two classes, but got only benign"),
        ([B, M], (B, M, "other"), "none of other"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_an_error(study, labels, classes, said):
    notes = read_annotations(study(labels, classes=classes))
    with pytest.raises(XattnError, match=said):
        check_classes(select_samples(notes)[0], notes.labels)
