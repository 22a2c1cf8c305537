"""Masks among images, by the names that data sets give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.images.written import mask, photo
from xattn.images import beside, find_images
from xattn.images.beside import masks_among


def left(root: Path, photos: Sequence[str], masks: Sequence[str]) -> list[str]:
    """Write both and return the names of what is listed."""
    for name in photos:
        photo(root / name)
    for name in masks:
        mask(root / name)
    return sorted(str(image.path.relative_to(root)) for image in find_images(root))


@pytest.mark.parametrize(
    ("image", "of_it"),
    [
        ("ISIC_0000000.jpg", "ISIC_0000000_segmentation.png"),
        ("ISIC_0000000.jpg", "ISIC_0000000_Segmentation.png"),
        ("ISIC_0000000.jpg", "ISIC_0000000_attribute_milia_like_cyst.png"),
        ("benign (1).png", "benign (1)_mask.png"),
        ("benign (1).png", "benign (1)_mask_1.png"),
        ("TCGA_1.tif", "TCGA_1_mask.tif"),
        ("a.png", "a-seg.png"),
        ("a.png", "a.gt.png"),
        ("a.png", "a_label.png"),
        ("Image_01L.jpg", "Image_01L_1stHO.png"),  # no word says so, two levels do
        ("IMD002/IMD002.bmp", "IMD002/lesion/IMD002_lesion.bmp"),
        ("IMD002/IMD002.bmp", "IMD002/roi/IMD002_R1_Label3.bmp"),
        ("images/17.png", "masks/17.png"),
        ("images/17.jpg", "ISIC2018_Task1_GroundTruth/17.png"),
        ("17.png", "labels/17.png"),
        ("train/images/17.jpg", "train/manual/17.jpg"),
        ("JPEG/17.jpg", "JPEG/17.png"),  # image and mask under one name, in one folder
    ],
)
def test_masks_beside_an_image_are_left_out_by_name(tmp_path: Path, image: str, of_it: str) -> None:
    assert left(tmp_path, [image], [of_it]) == [image]


def test_superpixels_are_left_out_though_they_have_many_colours(tmp_path: Path) -> None:
    assert left(tmp_path, ["a.jpg", "a_superpixels.png"], []) == ["a.jpg"]


@pytest.mark.parametrize(
    "images",
    [
        ["mask_01.jpg", "mask_02.jpg"],
        ["a_mask.png", "b_mask.png"],  # all there is
        ["1.jpg", "1_2.jpg", "1_3.jpg"],
        ["1.jpg", "1_lesion.jpg"],  # a close-up of it
        ["with_mask/1.jpg", "without_mask/1.jpg"],
        ["normal/1.png", "lesion/1.png"],
        ["left.png", "leftover.png"],
        ["a/x.png", "b/x.png"],
        ["x.jpg", "x.png"],
    ],
)
def test_images_are_kept_whatever_they_are_called(tmp_path: Path, images: list[str]) -> None:
    assert left(tmp_path, images, []) == sorted(images)


def test_flat_drawings_of_two_endings_are_all_kept(tmp_path: Path) -> None:
    assert left(tmp_path, [], ["x.bmp", "x.png"]) == ["x.bmp", "x.png"]


def test_one_line_says_how_many_were_left_out_and_by_what(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / f"{i}.png")
        mask(tmp_path / f"{i}_segmentation.png")
    mask(tmp_path / "0_attribute_globules.png")
    told: list[str] = []
    find_images(tmp_path, told.append)
    (line,) = told
    assert "left out 4 files" in line
    assert "*_segmentation (3)" in line
    assert "*_attribute_globules (1)" in line
    assert ".txt" in line


def test_files_named_one_by_one_are_taken_as_they_are(tmp_path: Path) -> None:
    both = [photo(tmp_path / "a.png"), mask(tmp_path / "a_mask.png")]
    assert [image.path for image in find_images(both)] == both
    (tmp_path / "list.txt").write_text("a.png\na_mask.png\n", encoding="utf-8")
    assert len(find_images(tmp_path / "list.txt")) == 2
    assert [image.id for image in find_images(tmp_path / "*.png")] == ["a"]
    assert [image.id for image in find_images(tmp_path / "*_mask.png")] == ["a_mask"]


def test_a_file_that_is_known_to_be_an_image_is_kept(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    known = mask(tmp_path / "a_mask.png")
    told: list[str] = []
    assert len(find_images(tmp_path, told.append, named=[known])) == 2
    assert told == []


def test_a_hundred_thousand_names_are_looked_through_in_a_moment() -> None:
    paths = [Path(f"/nowhere/ISIC_{i:07d}{end}") for i in range(50_000) for end in (".jpg",)]
    paths += [Path(f"/nowhere/ISIC_{i:07d}_segmentation.png") for i in range(50_000)]
    assert len(masks_among(paths)) == 50_000


@pytest.mark.parametrize("write", [photo, mask])
def test_files_that_are_only_numbered_are_not_all_looked_into(tmp_path: Path, monkeypatch, write):
    photo(tmp_path / "scan.png")
    for i in range(60):
        write(tmp_path / f"scan_{i:04d}.png")
    read: list[Path] = []
    once = beside.read_image
    monkeypatch.setattr(beside, "read_image", lambda path: read.append(path) or once(path))
    assert len(find_images(tmp_path)) == (61 if write is photo else 1)
    assert len(read) <= 32
