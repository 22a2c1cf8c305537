"""Masks that the user names, for layouts that have none of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.downloads import image, table
from tests.annotations.layouts.findings_miniatures import coco
from tests.images.written import mask
from xattn.annotations import BuiltAnnotations, build_annotations
from xattn.cli import main
from xattn.errors import AnnotationError, UsageError

IDS = ("p1", "p2", "p3", "p4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder per class."""
    for i, name in enumerate(IDS):
        image(tmp_path / "data" / ("a" if i % 2 else "b") / f"{name}.jpg", i)
    return tmp_path / "data"


def built(root: Path, **options: object) -> BuiltAnnotations:
    return build_annotations("imagefolder", root, root.parent / "out.json", **options)


@pytest.mark.parametrize("end", ["", "_segmentation", "-seg", ".mask", "_lesion_mask"])
def test_the_end_of_the_names_is_found_out_and_said(root: Path, end: str) -> None:
    for name in IDS[:3]:
        mask(root.parent / "masks" / f"{name}{end}.png")
    found = built(root, lesion_masks=root.parent / "masks")
    assert {i.id for i in found.images if i.lesion} == set(IDS[:3])
    assert f"lesion: 3 of 4 images have a mask, by {{id}}{end}" in found.notes


def test_features_may_have_masks_of_their_own_and_a_kind(root: Path) -> None:
    for name in IDS:
        mask(root.parent / "rulers" / f"{name}.png")
        mask(root.parent / "dots" / f"{name}.png")
        mask(root.parent / "clips" / f"{name}.png")
    places = {"ruler": "rulers", "dots": "dots", "clip:artifact": "clips"}
    found = built(root, masks={name: root.parent / at for name, at in places.items()})
    kinds = {name: feature.kind for name, feature in found.features.items()}
    assert kinds == {"ruler": "artifact", "dots": "structure", "clip": "artifact"}
    assert all(set(image.masks) == {"ruler", "dots", "clip"} for image in found.images)


def test_a_pattern_says_where_the_id_stands(root: Path) -> None:
    for name in IDS:
        mask(root.parent / "deep" / name / "x" / f"roi_{name}_final.png")
        mask(root.parent / "deep" / name / "x" / f"other_{name}_final.png")
    pattern = root.parent / "deep" / "{id}" / "*" / "roi_{id}_final.png"
    found = built(root, masks={"dots": str(pattern)})
    assert {image.masks["dots"].name for image in found.images} == {
        f"roi_{name}_final.png" for name in IDS
    }


def test_masks_of_several_names_for_each_image_are_refused_with_a_way_out(root: Path) -> None:
    for name in IDS:
        for kind in ("globules", "streaks"):
            mask(root.parent / "masks" / f"{name}_attribute_{kind}.png")
    with pytest.raises(AnnotationError, match=r"4 images with several.*name one, as in") as err:
        built(root, masks={"globules": root.parent / "masks"})
    assert "{id}_attribute_globules.*" in str(err.value)
    pattern = root.parent / "masks" / "{id}_attribute_globules.*"
    assert all(image.masks for image in built(root, masks={"globules": pattern}).images)


def test_a_second_mask_of_one_image_is_named(root: Path) -> None:
    for name in IDS:
        mask(root.parent / "masks" / f"{name}.png")
    mask(root.parent / "masks" / "more" / "p1.png")
    mask(root.parent / "masks" / "p2_old.png")
    notes = built(root, lesion_masks=root.parent / "masks").notes
    assert any("1 images have several masks" in n and "more/p1.png" in n for n in notes)
    assert any("1 files by other names, such as p2_old.png, are left out" in n for n in notes)


def test_no_mask_of_any_image_is_an_error(root: Path) -> None:
    mask(root.parent / "masks" / "nobody.png")
    with pytest.raises(AnnotationError, match=r"none of its 1 files, such as nobody.png"):
        built(root, lesion_masks=root.parent / "masks")
    with pytest.raises(AnnotationError, match="Expected a folder of masks"):
        built(root, lesion_masks=root.parent / "nowhere")


def test_masks_below_the_data_are_no_images_of_it(tmp_path: Path) -> None:
    for i, name in enumerate(IDS):
        image(tmp_path / "data" / ("a" if i % 2 else "b") / f"{name}.jpg", i)
        image(tmp_path / "data" / "drawn" / f"{name}.png", i + 9)  # not flat, nothing says mask
    found = built(tmp_path / "data", lesion_masks=tmp_path / "data" / "drawn")
    assert len(found.images) == len(IDS)
    assert all(image.lesion for image in found.images)
    assert found.labels == ("a", "b")


def test_masks_among_the_images_are_left_out_and_offered(root: Path) -> None:
    for i, name in enumerate(IDS):
        mask(root / ("a" if i % 2 else "b") / f"{name}_segmentation.png")
    found = built(root)
    assert [image.id for image in found.images] == ["p2", "p4", "p1", "p3"]
    (line,) = [n for n in found.notes if "left out" in n]
    assert "*_segmentation (4)" in line
    assert "--lesion-masks" in line
    taken = built(root, lesion_masks=root)
    assert all(image.lesion for image in taken.images)


def test_images_and_masks_side_by_side_are_no_folder_per_class(tmp_path: Path) -> None:
    for i, name in enumerate(IDS):
        image(tmp_path / "data" / "images" / f"{name}.png", i)
        mask(tmp_path / "data" / "masks" / f"{name}.png")
    with pytest.raises(AnnotationError, match="looks like none of"):
        build_annotations(None, tmp_path / "data", tmp_path / "out.json")


def test_images_of_one_name_in_two_folders_find_their_masks_by_place(tmp_path: Path) -> None:
    for i, at in enumerate(("a", "b")):
        image(tmp_path / "data" / at / "1.jpg", i)
        mask(tmp_path / "masks" / at / "1.png")
    found = built(tmp_path / "data", lesion_masks=tmp_path / "masks")
    assert [Path(i.lesion).parent.name for i in found.images] == ["a", "b"]


def test_a_column_of_presence_and_masks_become_one_feature(tmp_path: Path) -> None:
    for i, name in enumerate(IDS):
        image(tmp_path / "data" / f"{name}.png", i)
    mask(tmp_path / "masks" / "p1.png")
    rows = [f"{name},{int(i == 0)},{i + 20}" for i, name in enumerate(IDS)]
    sheet = table(tmp_path / "t.csv", "id,ruler,age", *rows)
    options = {"root": tmp_path / "data", "csv": sheet, "out": tmp_path / "out.json"}
    command = ["annotations", "build", "--root", str(options["root"]), "--csv", str(sheet)]
    command += ["--id-column", "id", "--out", str(options["out"]), "--mask"]
    assert main([*command, f"ruler={tmp_path / 'masks'}"]) == 0
    assert main([*command, f"age={tmp_path / 'masks'}"]) == 2
    assert main([*command, "ruler"]) == 2
    assert main([*command, f"lesion={tmp_path / 'masks'}"]) == 2


@pytest.mark.parametrize("name", ["", "ruler:metadata"])
def test_a_name_that_is_none_is_refused(root: Path, name: str) -> None:
    with pytest.raises(UsageError):
        built(root, masks={name: root})


class TestOutlines:
    """Masks in a JSON file of COCO, beside a data set of any layout."""

    def build(self, tmp_path, *features):
        folder = tmp_path / "d"
        for i, name in enumerate(("n/0.png", "t/1.png")):
            image(folder / name, i)
        coco(tmp_path / "c")
        path = tmp_path / "c" / "train" / "_annotations.coco.json"
        given = dict.fromkeys(features, path)
        return build_annotations(
            "imagefolder", folder, tmp_path / "a.json", masks=given, lesion_masks=path
        )

    def test_go_by_the_name_of_their_category(self, tmp_path):
        built = self.build(tmp_path, "ruler")
        assert built.features["ruler"].kind == "artifact"
        assert built.mask("0", "lesion").sum() == 12
        assert built.mask("1", "ruler").sum() == 18
        assert built.presence("1", "ruler") is True
        assert not built.mask("1", "lesion").any()
        assert any("ruler: 2 of 2 images are in" in note for note in built.notes)

    def test_a_category_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(AnnotationError, match=r"category 'rulr' in .*did you mean 'ruler'"):
            self.build(tmp_path, "rulr")
