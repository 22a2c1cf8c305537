"""Ids of files, tables and annotation files are brought together as people spell them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from xattn.annotations.matching import bare, examples, match_ids, with_known_ids
from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.images import ImageFile

SPELLINGS = {
    "an ending": "Größe_1.jpg",
    "another ending": "Größe_1.TIFF",
    "a folder": "images/part 1/Größe_1.png",
    "a folder of Windows": "C:\\data\\Größe_1.png",
    "blanks": "  Größe_1 ",
    "another Unicode form": unicodedata.normalize("NFD", "Größe_1"),
    "another case": "grÖSSE_1".replace("SS", "ß"),
    "a reduced copy": "Größe_1_downsampled.jpg",
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_an_id_is_found_however_it_is_spelled_and_that_is_told(kind):
    matched = match_ids(["Größe_1", "2"], ["x", SPELLINGS[kind], "2"])
    assert matched.place == (1, 2)
    assert matched.spelled == (("Größe_1", SPELLINGS[kind]),)
    assert matched.sentence("a row", "t.csv").startswith("2 of 2 images have a row in t.csv, 1 of")


def test_what_is_equal_comes_first():
    assert match_ids(["a", "A"], ["A", "a"]).place == (1, 0)
    assert match_ids(["a.jpg"], ["a", "a.jpg"]).place == (1,)


def test_what_cannot_be_told_apart_is_not_guessed():
    assert match_ids(["a"], ["a.jpg", "a.png"]).place == (None,)
    assert match_ids(["x/a", "y/a"], ["a"]).place == (None, None)
    assert match_ids(["a"], ["A", "á"]).place == (0,)


@pytest.mark.parametrize("name", ["slide.3", "1.2.840.10008", "v1.5_002"])
def test_a_dot_in_an_id_is_no_ending(name):
    assert bare(name) == name


def test_numbers_without_their_leading_zeros_are_named_and_not_taken():
    assert match_ids(["0007"], ["7"]).place == (None,)
    assert "lost its leading zeros" in examples(["0007"], ["7"])
    assert "'7' is not taken for '0007'" in examples(["7"], ["0007"])
    assert "'000' is not taken for '0'" in examples(["000"], ["0"])
    assert "zeros" not in examples(["0007"], ["8"])


def _known(tmp_path: Path, **files: str) -> Annotations:
    images = tuple(AnnotatedImage(i, tmp_path / file) for i, file in files.items())
    return Annotations(tmp_path / "a.json", (), {}, images)


def test_a_file_that_the_annotations_name_bears_their_id(tmp_path):
    known = _known(tmp_path, b__1="b/1.png", c__1="c/1.png")
    images = [ImageFile("1", tmp_path / "c" / "1.png"), ImageFile("new", tmp_path / "new.png")]
    renamed, matched = with_known_ids(images, known)
    assert [image.id for image in renamed] == ["c__1", "new"]
    assert matched.place == (None, 0)


def test_a_link_to_the_folder_is_the_folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to("b")
    renamed, _ = with_known_ids(
        [ImageFile("1", tmp_path / "link" / "1.png")], _known(tmp_path, x="b/1.png")
    )
    assert [image.id for image in renamed] == ["x"]


def test_files_elsewhere_are_known_by_their_names(tmp_path):
    known = _known(tmp_path, ISIC_1="b/ISIC_1.jpg", ISIC_2="b/ISIC_2.jpg")
    images = [ImageFile("isic_1", Path("other/isic_1.PNG")), ImageFile("y", Path("other/y.png"))]
    renamed, matched = with_known_ids(images, known)
    assert [image.id for image in renamed] == ["ISIC_1", "y"]
    assert matched.place == (0, None)
    assert matched.spelled == (("ISIC_1", "isic_1"),)
