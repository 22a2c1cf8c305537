"""The WILDS release of Camelyon17, in miniature."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.annotations.downloads import image, table
from xattn.annotations import Columns, build_annotations, check_annotations
from xattn.annotations.headers import read_header
from xattn.errors import AnnotationError

HEADER = ",patient,node,x_coord,y_coord,tumor,slide,center,split"


def release(root: Path, patches: int = 8, *, draw: bool = True) -> Path:
    """Ten slides, two a centre, of nine patients; every fourth patch of a slide is id_val."""
    lines = [HEADER]
    for slide in range(10):
        patient, node, center = f"{min(slide, 8):03d}", slide // 9, slide % 5
        for i in range(patches):
            x, y, split = 32 * i, 100 + slide, int(i % 4 == 3)
            place = f"{patient},{node},{x},{y}"
            lines.append(f"{len(lines) - 1},{place},{i % 2},{slide},{center},{split}")
            case = f"patient_{patient}_node_{node}"
            path = root / "patches" / case / f"patch_{case}_x_{x}_y_{y}.png"
            if draw:
                image(path, len(lines))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    table(root / "metadata.csv", *lines)
    return root


@pytest.fixture
def wilds(tmp_path: Path) -> Path:
    return release(tmp_path / "camelyon17_v1.0")


def test_it_is_known_by_its_table_and_read_whole(wilds: Path):
    built = build_annotations(None, wilds, wilds.parent / "a.json")
    assert "layout: camelyon17, as the folder looks" in built.notes
    assert built.summary.labels == {"normal": 40, "tumor": 40}
    image = built.by_id["patch_patient_003_node_0_x_96_y_103"]
    assert image.label == "tumor"
    assert image.group == "3"
    assert dict(image.values) == {
        "center": "3", "slide": "3", "patient": "003", "node": "0", "official_split": "id_val",
    }  # fmt: skip
    assert check_annotations(built.path) == []


def test_it_may_lie_one_folder_deeper(wilds: Path):
    assert len(build_annotations(None, wilds.parent, wilds.parent / "a.json").images) == 80


def test_the_official_split_goes_by_centre_and_the_column_split(wilds: Path):
    built = build_annotations("camelyon17", wilds, wilds.parent / "a.json")
    seen = Counter((i.values["center"], i.values["official_split"]) for i in built.images)
    assert seen == {
        ("1", "val"): 16, ("2", "test"): 16,
        ("0", "train"): 12, ("3", "train"): 12, ("4", "train"): 12,
        ("0", "id_val"): 4, ("3", "id_val"): 4, ("4", "id_val"): 4,
    }  # fmt: skip


def test_a_patient_of_several_slides_is_one_group_if_wanted(wilds: Path):
    by_patient = Columns(group=("patient",))
    built = build_annotations("camelyon17", wilds, wilds.parent / "a.json", columns=by_patient)
    assert built.summary.groups == 9
    alone = Columns(group=("none",))
    built = build_annotations("camelyon17", wilds, wilds.parent / "a.json", columns=alone)
    assert built.summary.groups == 0
    with pytest.raises(AnnotationError, match="'slides'; did you mean 'slide'"):
        build_annotations("camelyon17", wilds, "x.json", columns=Columns(group=("slides",)))


def test_a_table_that_was_saved_as_numbers_still_names_its_patches(wilds: Path):
    path = wilds / "metadata.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    for cells in lines[1:]:
        cells[1], cells[7] = str(int(cells[1])), f"{cells[7]}.0"
    table(path, *(",".join(cells) for cells in lines))
    built = build_annotations("camelyon17", wilds, wilds.parent / "a.json")
    assert {image.values["center"] for image in built.images} == set("01234")


def test_patches_that_were_not_unpacked_are_counted(wilds: Path):
    for path in (wilds / "patches" / "patient_001_node_0").iterdir():
        path.unlink()
    built = build_annotations("camelyon17", wilds, wilds.parent / "a.json")
    assert "images: 8 of 80 that the table names are not there" in built.notes
    assert len(built.images) == 72


def test_without_any_patch_the_expected_place_is_named(wilds: Path):
    (wilds / "patches").rename(wilds / "elsewhere")
    with pytest.raises(AnnotationError, match=r"patches/patient_000_node_0/patch_patient_000"):
        build_annotations("camelyon17", wilds, wilds.parent / "a.json")


def test_without_its_table_the_columns_are_named(tmp_path: Path):
    table(tmp_path / "metadata.csv", "patient,slide", "1,2")
    with pytest.raises(AnnotationError, match=r"metadata\.csv with the columns patient, node"):
        build_annotations("camelyon17", tmp_path, tmp_path / "a.json")


def test_no_patch_is_opened_and_time_grows_with_their_number_alone(tmp_path: Path, monkeypatch):
    opened: list[object] = []
    monkeypatch.setattr("xattn.annotations.read.read_header", opened.append)
    root = release(tmp_path / "w", patches=500, draw=False)
    begin = time.process_time()
    built = build_annotations("camelyon17", root, tmp_path / "a.json")
    assert time.process_time() - begin < 5  # a second or so; half a million in two minutes
    assert len(built.images) == 5000
    assert opened == []


DATA = Path("../shared/data/camelyon17_patches")


@pytest.mark.skipif(not DATA.is_dir(), reason="the real patches at ../shared/data are not here")
def test_real_patches_go_through_a_table(tmp_path: Path):
    rows = [f"{p.name},{'tumor' if p.stem.endswith('1') else 'normal'}" for p in DATA.glob("*.png")]
    path = table(tmp_path / "t.csv", "file,label", *rows)
    columns = Columns(file="file", label="label")
    built = build_annotations("csv", DATA, tmp_path / "a.json", csv=path, columns=columns)
    assert built.summary.labels == {"normal": 5, "tumor": 5}
    assert check_annotations(built.path) == []
    sizes = np.array([read_header(image.file).size for image in built.images])
    assert (sizes == 224).all()
