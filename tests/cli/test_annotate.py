"""`xattn annotations` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import xattn.cli
from tests.annotations.downloads import image, table
from xattn.annotations import read_annotations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(("MEL/a.png", "NV/b.png", "BCC/c.png")):
        image(tmp_path / "data" / name, i)
    return tmp_path / "data"


def run(*words: object) -> int:
    return xattn.cli.main(["annotations", *map(str, words)])


def test_a_folder_is_enough(folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "a.json"
    assert run("build", folder, "--out", out) == 0
    said = capsys.readouterr().out
    assert "3 images: 1 BCC, 1 MEL, 1 NV" in said
    assert "note: layout: imagefolder, as the folder looks" in said
    assert run("check", out) == 0


def test_classes_become_two_and_get_names(folder: Path, tmp_path: Path, capsys):
    words = ("build", "--root", folder, "--out", tmp_path / "a.json", "--positive", "MEL, BCC")
    assert run(*words, "--names", "benign,malignant", "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"benign": 1, "malignant": 2}


def test_a_table_names_its_columns(folder: Path, tmp_path: Path):
    path = table(folder / "t.csv", "f,y,p", "MEL/a.png,1,x", "NV/b.png,0,x")
    out = tmp_path / "a.json"
    roles = ("--file-column", "f", "--label-column", "y", "--group-column", "p")
    assert run("build", "--csv", path, *roles, "--out", out) == 0
    images = read_annotations(out).images
    assert [(i.label, i.group) for i in images] == [("1", "x"), ("0", "x")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build"], "Expected the folder of a data set"),
        (["build", "{data}", "--root", "{data}"], "and, by --root,"),
        (["build", "{data}", "--layout", "isic2091"], "did you mean 'isic2019'"),
        (["build", "{data}", "--positive", "MEL", "--names", "x"], "two names, by a comma"),
        (["build", "{data}", "--group-column", "x"], "imagefolder reads, but got --group-column"),
    ],
)
def test_wrong_words_are_told_in_one_line(folder: Path, tmp_path: Path, capsys, words, said):
    out = tmp_path / "a.json"
    assert run(*(word.format(data=folder) for word in words), "--out", out) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_a_check_without_headers_sees_only_whether_files_are_there(folder: Path, tmp_path: Path):
    out = tmp_path / "a.json"
    run("build", folder, "--out", out, "--quiet")
    (folder / "MEL/a.png").write_bytes(b"no image")
    assert run("check", out, "--no-headers") == 0
    assert run("check", out) == 1
    (folder / "MEL/a.png").unlink()
    assert run("check", out, "--no-headers") == 1
