"""Names that tables and folders use are refused before the long part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.annotations.conftest import Folder
from tests.annotations.downloads import image, table
from xattn.annotations import build_annotations
from xattn.cli import main
from xattn.errors import AnnotationError, UsageError

RESERVED = {
    "image_id": "metadata", "label": "metadata", "group": "metadata", "lesion": "structure",
    "control-noise": "metadata", "control-patch": "artifact", "a/b": "artifact",
    "a\\b": "structure", ".hidden": "artifact", "patches.area": "metadata",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), RESERVED.items())
def test_check_names_a_feature_that_cannot_be_called_so(
    folder: Folder, name: str, kind: str
) -> None:
    folder.content["features"][name] = {"kind": kind}
    (problem,) = folder.check()
    assert problem.key == f"features.{name}"
    assert "Expected another name" in problem.message
    assert main(["annotations", "check", str(folder.write())]) == 1


@pytest.mark.parametrize("name", ["mm/pixel", ".x", "age.area", "all", "x@y", "NUL", "a b"])
def test_what_breaks_nothing_may_be_a_name(folder: Folder, name: str) -> None:
    folder.content["features"][name] = {"kind": "metadata"}
    assert folder.check() == []


def test_a_label_called_all_is_refused(folder: Folder) -> None:
    folder.content["labels"] = ["benign", "malignant", "all"]
    (problem,) = folder.check()
    assert problem.key == "labels[2]"


@pytest.mark.parametrize("column", ["label", "group", "image_id"])
def test_build_refuses_such_a_column_and_the_way_out_works(tmp_path: Path, column: str) -> None:
    rows = []
    for i in range(4):
        image(tmp_path / "images" / f"{i}.png", i)
        rows.append(f"{i}.png,{'ab'[i % 2]},{i}")
    sheet = table(tmp_path / "t.csv", f"file,dx,{column}", *rows)
    command = ["annotations", "build", "--csv", str(sheet), "--root", str(tmp_path / "images")]
    command += ["--file-column", "file", "--label-column", "dx", "--out", str(tmp_path / "a.json")]
    assert main(command) == 1
    assert not (tmp_path / "a.json").exists()
    assert main([*command, "--exclude", column]) == 0
    assert column not in json.loads((tmp_path / "a.json").read_text())["features"]


def test_a_class_called_all_is_refused_by_build(tmp_path: Path) -> None:
    for i, name in enumerate(("all", "none")):
        image(tmp_path / "data" / name / f"{i}.png", i)
    with pytest.raises(AnnotationError, match="another name than 'all'"):
        build_annotations("imagefolder", tmp_path / "data", tmp_path / "a.json")


def test_a_feature_that_is_not_there_cannot_be_excluded(tmp_path: Path) -> None:
    for i, name in enumerate(("a", "b")):
        image(tmp_path / "data" / name / f"{i}.png", i)
    with pytest.raises(UsageError, match="Expected a feature to exclude"):
        build_annotations("imagefolder", tmp_path / "data", tmp_path / "a.json", exclude=["age"])
