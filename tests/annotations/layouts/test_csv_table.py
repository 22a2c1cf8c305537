"""Any table becomes an annotation file, once its columns are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.downloads import image, table
from xattn.annotations import Columns, build_annotations, check_annotations
from xattn.errors import AnnotationError, UsageError

LINES = (
    "path;who;lesion;diagnosis;age;code;lesion area",
    "a.png;p1;l1;nevus;55;004;1.5",
    "sub/b.png;p1;l2;melanoma;60+;010;2",
    "c.png;p2;l2;;;;",
    "gone.png;p3;l3;nevus;1;1;1",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for i, name in enumerate(("a.png", "sub/b.png", "c.png")):
        image(tmp_path / "images" / name, i)
    return tmp_path


def build(data: Path, *lines: str, root: str | None = "images", **columns):
    path = table(data / "t.csv", *(lines or LINES))
    return build_annotations(
        None, root and data / root, data / "a.json", csv=path, columns=Columns(**columns)
    )


def test_columns_with_a_role_are_taken_and_all_others_are_values(data: Path):
    built = build(data, file="path", label="diagnosis", group=("who",))
    assert [(i.id, i.label, i.group) for i in built.images] == [
        ("a", "nevus", "p1"), ("b", "melanoma", "p1"), ("c", None, "p2"),
    ]  # fmt: skip
    assert [dict(i.values) for i in built.images] == [
        # Not every age is a number, and a code with a leading zero is none.
        {"lesion area": 1.5, "age": "55", "code": "004"},
        {"lesion area": 2, "age": "60+", "code": "010"},
        {},
    ]
    assert built.labels == ("melanoma", "nevus")
    assert "images: 3 of 4 rows have an image; the others are not there" in built.notes
    assert "lesion: a column of this name is left out" in str(built)
    assert check_annotations(built.path) == []


def test_several_columns_of_groups_hold_together_what_any_of_them_does(data: Path):
    built = build(data, file="path", group=("who", "lesion"))
    assert len({i.group for i in built.images}) == 1


def test_ids_may_be_a_column_and_files_found_by_them(data: Path):
    lines = ["name,y", "c,1", "b.png,0", "zz,1"]
    built = build(data, *lines, id="name", label="y")
    assert [(i.id, i.file.name, i.label) for i in built.images] == [
        ("c", "c.png", "1"), ("b.png", "b.png", "0"),
    ]  # fmt: skip


def test_both_a_file_and_an_id_column(data: Path):
    built = build(
        data, "f,i", "a.png,one", "c.png,two", "a.png,one", "b.png,one", ",x", file="f", id="i"
    )
    assert [(i.id, i.file.name) for i in built.images] == [("one", "a.png"), ("two", "c.png")]
    assert "t.csv: 1 rows of an id that was there; the first is taken" in built.notes
    assert "t.csv: 1 rows without a cell of f are left out" in built.notes


def test_files_are_relative_to_the_table_unless_a_folder_is_given(data: Path):
    absolute = data / "images" / "c.png"
    built = build(data, "f", "images/a.png", str(absolute), root=None, file="f")
    assert [i.id for i in built.images] == ["a", "c"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "Expected --csv with --file-column or --id-column .* but got neither column"),
        ({"file": "pth"}, "column 'pth' in .*did you mean 'path'"),
        ({"file": "path", "label": "y"}, "column 'y'"),
        ({"file": "path", "group": ("whom",)}, "column 'whom' in .*did you mean 'who'"),
        ({"id": "who"}, "found none; its first row is {'path': 'a.png'"),
    ],
)
def test_a_column_that_is_not_there_is_named(data: Path, columns, said: str):
    with pytest.raises((UsageError, AnnotationError), match=said):
        build(data, **columns)


def test_sources_that_the_layout_does_not_read_are_refused(data: Path):
    path = table(data / "t.csv", *LINES)
    with pytest.raises(UsageError, match="what the layout csv reads, but got --flags"):
        build_annotations("csv", data, csv=path, flags=path, columns=Columns(file="path"))
    with pytest.raises(UsageError, match="layout imagefolder reads, but got --label-column, --csv"):
        build_annotations("imagefolder", data, csv=path, columns=Columns(label="path"))


def test_a_table_or_a_folder_is_needed():
    with pytest.raises(UsageError, match="Expected the folder of a data set"):
        build_annotations(None, None)


def test_rows_of_one_file_that_contradict_each_other_leave_it_out_and_others_count_once(data: Path):
    lines = (
        "path;diagnosis;age", "a.png;nevus;55", "a.png;melanoma;55", "sub/b.png;nevus;1",
        "sub/b.png;nevus;2", "c.png;melanoma;3",
    )  # fmt: skip
    built = build(data, *lines, file="path", label="diagnosis")
    assert [(i.id, i.label) for i in built.images] == [("b", "nevus"), ("c", "melanoma")]
    notes = " ".join(built.notes)
    assert "1 files are left out, whose rows contradict each other in diagnosis: a.png" in notes
    assert "1 rows name a file that was there; the first is taken" in notes


def test_a_table_of_contradictions_alone_is_refused(data: Path):
    with pytest.raises(AnnotationError, match="the rows of all 1 contradict each other"):
        build(data, "path;diagnosis", "a.png;nevus", "a.png;melanoma", file="path",
              label="diagnosis")  # fmt: skip
