"""Data sets as their authors publish them: labels, groups and values of their real columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.annotations.downloads import image, table
from tests.cli.miniatures import MINIATURES, draw, ids
from xattn.annotations import LAYOUTS, Columns, build_annotations
from xattn.annotations.layouts.published import PUBLISHED
from xattn.errors import AnnotationError, UsageError

OWN = ("derm7pt", "ph2")
NAMES = (*(release.name for release in PUBLISHED), *OWN)


def data(tmp_path: Path, layout: str, n: int = 6) -> Path:
    """Write a miniature of n images; return its folder."""
    mini = MINIATURES[layout]
    labels = {one: mini.classes[i % len(mini.classes)] for i, one in enumerate(ids(n))}
    draw(tmp_path / "data", mini, labels, tmp_path / "masks")
    mini.write(tmp_path / "data", labels)
    return tmp_path / "data"


def build(root: Path, layout: str | None = None, **more):
    return build_annotations(layout, root, root.parent / "a.json", **more)


DOMAINS = {
    **dict.fromkeys(("aptos2019", "eyepacs"), "fundus"),
    **dict.fromkeys(("derm7pt", "ph2", "bcn20000"), "dermoscopy"),
    **dict.fromkeys(("isic2024", "pad_ufes_20", "ddi", "fitzpatrick17k"), "clinical"),
}


@pytest.mark.parametrize("layout", NAMES)
def test_each_is_of_a_domain_or_of_none_that_is_told(layout):
    assert LAYOUTS.find(layout).domain == DOMAINS.get(layout)


@pytest.mark.parametrize("layout", NAMES)
def test_each_is_known_by_its_columns(tmp_path, layout):
    built = build(data(tmp_path, layout))
    assert f"layout: {layout}, as the folder looks" in built.notes
    assert len(built.images) == 6


def test_an_export_of_the_archive_is_labelled_at_the_level_that_is_wanted(tmp_path):
    root = data(tmp_path, "isic_archive")
    built = build(root)
    assert built.labels == ("Benign", "Malignant")
    assert built.images[0].group == built.images[1].group != built.images[2].group
    assert built.images[0].values["institution"] == "Department of Dermatology, Hospital 0"
    assert not any("diagnosis_2" in one.values for one in built.images)
    assert build(root, columns=Columns(label="diagnosis_3")).labels == ("Nevus",)
    with pytest.raises(AnnotationError, match="as the label, but got 'diagnosis_9'; did you mean"):
        build(root, columns=Columns(label="diagnosis_9"))


def test_an_older_export_of_the_archive_has_other_columns(tmp_path):
    image(tmp_path / "data" / "ISIC_0000001.jpg")
    image(tmp_path / "data" / "ISIC_0000002.jpg", 1)
    table(
        tmp_path / "data" / "metadata.csv",
        "isic_id,attribution,copyright_license,age_approx,benign_malignant,diagnosis,sex",
        "ISIC_0000001,Anonymous,CC-0,50,benign,nevus,male",
        "ISIC_0000002,Anonymous,CC-0,50,malignant,melanoma,male",
    )
    built = build(tmp_path / "data")
    assert built.labels == ("benign", "malignant")


def test_what_tells_the_label_of_2024_is_no_value(tmp_path):
    built = build(data(tmp_path, "isic2024"))
    first = built.images[0]
    assert first.file.parent.name == "train-image.hdf5"
    assert set(first.values) == {
        "age", "sex", "site", "diameter_mm", "tbp_tile_type", "tbp_lv_areaMM2", "institution",
    }  # fmt: skip


def test_skin_tones_of_ddi_are_names_and_its_diseases_may_be_the_label(tmp_path):
    root = data(tmp_path, "ddi")
    assert [one.values["skin_tone"] for one in build(root).images[:3]] == ["12", "34", "56"]
    assert build(root, columns=Columns(label="disease")).labels == ("nevus",)


def test_unknown_skin_types_are_none(tmp_path):
    built = build(data(tmp_path, "fitzpatrick17k"))
    assert "fitzpatrick" not in built.images[0].values
    assert built.images[1].values["fitzpatrick"] == 2


def test_both_eyes_are_one_group(tmp_path):
    built = build(data(tmp_path, "eyepacs"))
    assert [(one.id, one.group, one.values["side"]) for one in built.images[:3]] == [
        ("10_left", "10", "left"), ("10_right", "10", "right"), ("11_left", "11", "left"),
    ]  # fmt: skip


def test_structures_of_derm7pt_are_there_or_not_and_of_a_type(tmp_path):
    built = build(data(tmp_path, "derm7pt"))
    assert built.features["pigment_network"].kind == "structure"
    assert built.presence("Nel000", "pigment_network") is False
    assert built.presence("Nel001", "pigment_network") is True
    assert built.images[1].values["pigment_network_type"] == "typical"
    assert [one.values["official_split"] for one in built.images[:3]] == ["train", "val", "test"]
    with pytest.raises(UsageError, match="derm or clinic, and --label-column diagnosis"):
        build(tmp_path / "data", columns=Columns(file="photo"))


def test_the_photographs_of_derm7pt_can_be_taken_instead(tmp_path):
    root = data(tmp_path, "derm7pt")
    image(root / "images" / "NEL" / "Nel000c.jpg")
    built = build(root, "derm7pt", columns=Columns(file="clinic", label="diagnosis"))
    assert [(one.id, one.label) for one in built.images] == [("Nel000c", "basal cell carcinoma")]


def test_ph2_has_lesions_structures_and_colours(tmp_path):
    root = data(tmp_path, "ph2")
    built = build(root)
    assert built.labels == ("common nevus", "atypical nevus", "melanoma")
    mask = built.mask("IMD000", "lesion")
    expected = np.asarray(Image.open(next(root.rglob("IMD000.png"))))[..., 0] < 150
    assert np.array_equal(mask, expected)
    assert built.presence("IMD000", "dots_globules") is False
    values = built.images[1].values
    assert (values["pigment_network_type"], values["color_light_brown"]) == ("atypical", 1)
    assert (values["color_white"], values["asymmetry_axes"]) == (0, 1)


def test_a_damaged_row_of_ph2_is_named(tmp_path):
    root = data(tmp_path, "ph2")
    path = root / "PH2_dataset.txt"
    for damaged in ("7 || 0 | T | A | A | A | A", "1 || 0 | T | A", "1 || 0 | X | A | A | A | A"):
        path.write_text(f"|| IMD001 ||  || {damaged} || 3 ||\n")
        with pytest.raises(AnnotationError, match=r"in line 1 of .*PH2_dataset\.txt, but got"):
            build(root)
