"""PatchCamelyon is read from its HDF5 files, a patch a row."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from tests.annotations.layouts.findings_miniatures import patchcamelyon
from xattn.annotations import build_annotations, check_annotations
from xattn.errors import AnnotationError
from xattn.images import read_image


def test_patches_have_labels_slides_and_parts(tmp_path):
    root = patchcamelyon(tmp_path / "d")
    built = build_annotations(None, root, tmp_path / "a.json")
    assert "layout: patchcamelyon, as the folder looks" in built.notes
    assert check_annotations(built.path) == []
    assert built.summary.labels == {"normal": 18, "tumor": 18}
    assert built.summary.groups == 9
    one = built.by_id["valid_11"]
    assert (one.label, one.values["official_split"]) == ("tumor", "val")
    assert one.group == one.values["slide"] == "camelyon16_valid_normal_002"
    with h5py.File(root / "camelyonpatch_level_2_split_valid_x.h5") as file:
        assert np.array_equal(np.asarray(read_image(one.file).image), file["x"][11])


def test_one_part_without_its_table_is_enough(tmp_path):
    root = patchcamelyon(tmp_path / "d")
    for path in root.glob("*_t*"):
        path.unlink()
    next(root.glob("*_meta.csv")).unlink()
    built = build_annotations(None, root, tmp_path / "a.json")
    assert (len(built.images), built.summary.groups) == (12, 0)
    assert any("so the slides of valid are not known" in note for note in built.notes)


def test_a_file_may_lie_in_a_folder_of_its_name(tmp_path):
    root = patchcamelyon(tmp_path / "d")
    for path in list(root.glob("*_valid_*.h5")):
        path.rename(tmp_path / "moved")
        path.mkdir()
        (tmp_path / "moved").rename(path / path.name)
    built = build_annotations(None, root, tmp_path / "a.json")
    assert len(built.images) == 36


def test_packed_files_and_unequal_ones_are_named(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "camelyonpatch_level_2_split_test_x.h5.gz").write_bytes(b"")
    with pytest.raises(AnnotationError, match=r"test_x\.h5\.gz; gunzip it and its y"):
        build_annotations(None, tmp_path / "p", tmp_path / "a.json")
    root = patchcamelyon(tmp_path / "d")
    with h5py.File(root / "camelyonpatch_level_2_split_train_y.h5", "w") as file:
        file["y"] = np.zeros((3, 1, 1, 1), np.uint8)
    with pytest.raises(AnnotationError, match=r"as many labels in .*, 12, but got 3"):
        build_annotations(None, root, tmp_path / "a.json")
