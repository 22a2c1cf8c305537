"""Lists of MONAI and folders of nnU-Net: classes, and a mask of each label of a map."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.annotations.downloads import image
from tests.annotations.layouts.findings_miniatures import maps, monai, nnunet
from xattn.annotations import build_annotations, check_annotations
from xattn.errors import AnnotationError


def build(root):
    built = build_annotations(None, root, root.parent / "a.json")
    assert check_annotations(built.path) == []
    return built


def test_label_maps_of_nnunet_become_masks_regions_of_several_values_too(tmp_path):
    built = build(nnunet(tmp_path / "d"))
    assert "layout: monai, as the folder looks" in built.notes
    assert [one.id for one in built.images] == ["case_0", "case_1", "case_2", "case_9"]
    square = np.zeros((6, 8), bool)
    square[:3, :4] = True
    assert np.array_equal(built.mask("case_1", "core"), square)
    assert np.array_equal(built.mask("case_0", "whole"), square)
    assert [built.presence(f"case_{i}", "core") for i in (0, 1, 2, 9)] == [False, True, False, None]
    assert [one.values["official_split"] for one in built.images] == ["train"] * 3 + ["test"]


def test_a_list_of_monai_has_classes_by_their_names(tmp_path):
    built = build(monai(tmp_path / "d"))
    assert built.labels == ("benign", "malignant")
    assert [(one.id, one.label) for one in built.images] == [
        ("case_0", "benign"), ("case_1", "malignant"), ("case_2", "malignant"),
    ]  # fmt: skip
    assert built.images[2].values == {"official_split": "val"}
    assert built.images[0].values["age"] == 40


def test_a_list_may_name_maps_and_findings(tmp_path):
    root = tmp_path / "d"
    maps(root / "maps", 1, 5)
    for i in range(2):
        image(root / f"{i}.png", i)
    content = {
        "labels": {"0": "background", "1": "lesion"},
        "training": [{"image": f"{i}.png", "label": f"maps/case_{i}.png"} for i in range(2)],
    }
    (root / "list.json").write_text(json.dumps(content))
    built = build(root)
    assert built.mask("0", "lesion").sum() == 12
    assert built.presence("1", "label_5") is True
    content["training"] = [{"image": f"{i}.png", "label": [0, 1][: i + 1]} for i in range(2)]
    content["labels"] = {"0": "oedema", "1": "mass"}
    (root / "list.json").write_text(json.dumps(content))
    assert [one.findings for one in build(root).images] == [("oedema",), ("oedema", "mass")]


def test_volumes_and_channels_in_files_of_their_own_are_refused(tmp_path):
    root = nnunet(tmp_path / "d")
    image(root / "imagesTr" / "case_0_0001.png")
    with pytest.raises(AnnotationError, match=r"further channel case_0_0001\.png; join"):
        build(root)
    (tmp_path / "v").mkdir()
    listed = {"training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]}
    (tmp_path / "v" / "dataset.json").write_text(json.dumps(listed))
    with pytest.raises(
        AnnotationError, match=r"but got volumes such as a\.nii\.gz; save the slices"
    ):
        build(tmp_path / "v")
