"""Outlines of COCO become masks, and its categories features or findings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.annotations.layouts.findings_miniatures import coco
from xattn.annotations import Columns, build_annotations, check_annotations
from xattn.errors import AnnotationError


def build(root, **columns):
    return build_annotations(None, root, root.parent / "a.json", columns=Columns(**columns))


def test_polygons_boxes_and_run_lengths_become_masks(tmp_path):
    built = build(coco(tmp_path / "d"))
    assert "layout: coco, as the folder looks" in built.notes
    assert check_annotations(built.path) == []
    assert {name: one.kind for name, one in built.features.items()} == {
        "ruler": "structure", "official_split": "metadata",
    }  # fmt: skip
    lesion = np.zeros((6, 8), bool)
    lesion[1:4, 1:5] = True
    assert np.array_equal(built.mask("0", "lesion"), lesion)
    box = np.zeros((6, 8), bool)
    box[:, :2] = True
    assert np.array_equal(built.mask("0", "ruler"), box)
    both = box.copy()
    both[:, 7:] = True
    assert np.array_equal(built.mask("1", "ruler"), both)
    assert built.presence("2", "ruler") is False
    assert "masks: 1 annotations have no outline, and their box is taken" in built.notes
    assert any("--label-column takes a key of the images, or category" in n for n in built.notes)


def test_labels_are_a_key_of_the_images_or_the_categories(tmp_path):
    root = coco(tmp_path / "d")
    assert [one.label for one in build(root, label="grade").images] == ["a", "b", "a"]
    built = build(root, label="category")
    assert built.labels == ("lesion", "ruler")
    assert [one.findings for one in built.images] == [("lesion", "ruler"), ("ruler",), ()]
    with pytest.raises(AnnotationError, match="as the label, but got 'grad'; did you mean 'grade'"):
        build(root, label="grad")


def test_a_damaged_outline_is_named(tmp_path):
    root = coco(tmp_path / "d")
    path = root / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = [["x"]]
    path.write_text(json.dumps(content))
    with pytest.raises(
        AnnotationError, match=r"outlines of COCO in .*coco\.json, but annotation 1"
    ):
        build(root)
    del content["categories"]
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match="but categories is not there"):
        build_annotations("coco", root, tmp_path / "a.json")
