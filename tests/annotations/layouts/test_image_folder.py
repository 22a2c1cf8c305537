"""A folder per class, with or without train/val/test above."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.annotations.downloads import image
from xattn.annotations import build_annotations, check_annotations
from xattn.annotations.layouts.registry import LAYOUTS
from xattn.errors import AnnotationError


def build(root: Path, layout: str | None = None):
    return build_annotations(layout, root, root.parent / "a.json")


def images(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        image(root / name, i)
    return root


def test_the_folder_is_the_class(tmp_path: Path):
    built = build(images(tmp_path / "d", "normal/a.png", "tumor/b.jpg", "tumor/deeper/c.png"))
    assert [(i.id, i.label) for i in built.images] == [
        ("a", "normal"), ("b", "tumor"), ("c", "tumor"),
    ]  # fmt: skip
    assert built.labels == ("normal", "tumor")
    assert built.features == {}
    assert check_annotations(built.path) == []


def test_folders_above_the_classes_are_the_split(tmp_path: Path):
    names = ["train/n/a.png", "Validation/t/b.png", "test/n/c.png", "test/t/d.png"]
    built = build(images(tmp_path / "d", *names))
    assert {i.id: (i.label, i.values["split"]) for i in built.images} == {
        "a": ("n", "train"), "b": ("t", "val"), "c": ("n", "test"), "d": ("t", "test"),
    }  # fmt: skip
    assert built.labels == ("n", "t")


def test_classes_that_are_called_like_splits_beside_others_are_classes(tmp_path: Path):
    built = build(images(tmp_path / "d", "test/a.png", "control/b.png"))
    assert built.labels == ("control", "test")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path):
    built = build(images(tmp_path / "d", "n/1.png", "t/1.png", "t/2.png"))
    assert [i.id for i in built.images] == ["n__1", "t__1", "2"]
    assert any(note.startswith("ids: 2 files share their name") for note in built.notes)


def test_what_lies_in_no_folder_or_is_hidden_is_left_out(tmp_path: Path):
    root = images(tmp_path / "d", "n/a.png", "t/b.png", "loose.png", ".cache/c.png", "n/.d.png")
    (root / "n" / "Thumbs.db").write_bytes(b"x")
    built = build(root)
    assert [i.id for i in built.images] == ["a", "b"]
    assert "images: left out 1 in no folder of a class" in built.notes


@pytest.mark.parametrize("names", [["a.png"], ["only/a.png"], []])
def test_a_folder_without_classes_looks_like_nothing(tmp_path: Path, names: list[str]):
    (tmp_path / "d").mkdir()
    with pytest.raises(AnnotationError, match=r"none of aptos2019, .*camelyon17.*--layout"):
        build(images(tmp_path / "d", *names))


@pytest.mark.parametrize("names", [["a.png"], []])
def test_a_flat_folder_is_refused_with_the_way_out(tmp_path: Path, names: list[str]):
    (tmp_path / "d").mkdir()
    with pytest.raises(AnnotationError, match=r"folder per class under .* --layout csv"):
        build(images(tmp_path / "d", *names), "imagefolder")


@pytest.mark.parametrize("layout", [None, *LAYOUTS])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, layout: str | None):
    with pytest.raises(AnnotationError, match=r"Expected a folder .*gone, but got nothing there"):
        build(tmp_path / "gone", layout)


def test_a_table_in_place_of_a_folder_is_called_a_file(tmp_path: Path):
    (tmp_path / "t.csv").write_text("id,label\n1,a\n")
    with pytest.raises(AnnotationError, match=r"t\.csv, but got a file; .*--csv"):
        build(tmp_path / "t.csv")


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_folder_around_the_classes_is_named(tmp_path, kind):
    root = tmp_path / "study"
    images(root / "images", "a/1.png", "b/2.png")
    if kind == "archive":
        root = Path(shutil.make_archive(str(tmp_path / "scans"), "zip", root))
    message = f"its only folder looks like imagefolder; name that one: {root / 'images'}"
    with pytest.raises(AnnotationError, match=re.escape(message)):
        build_annotations(None, root, tmp_path / "a.json")
    built = build_annotations(None, root / "images", tmp_path / "a.json")
    assert built.labels == ("a", "b")
