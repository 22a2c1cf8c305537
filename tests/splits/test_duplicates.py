"""Splits that leak are refused before a single image is decoded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.fitted import run
from tests.training.recipes import tiny_recipe
from xattn.annotations import read_annotations
from xattn.errors import XattnError
from xattn.splits.splits import write_splits
from xattn.training.search.search import search

B, M = "benign", "malignant"
SPLITS = {f"img{i:03d}": ("train", "train", "val", "test")[i // 2 % 4] for i in range(40)}


@pytest.fixture
def undecoded(monkeypatch):
    """Make decoding fail the test."""

    def fail(*_args, **_options):
        raise AssertionError("decoded")

    monkeypatch.setattr("xattn.training.dataset.decode_images", fail)


def splits_file(tmp_path: Path) -> Path:
    (tmp_path / "splits.csv").write_text(write_splits(SPLITS))
    return tmp_path / "splits.csv"


@pytest.mark.usefixtures("undecoded")
def test_a_group_in_two_splits_is_refused_before_decoding(study, tmp_path):
    notes = study([B, M] * 20, groups=[None if i not in (1, 5) else "g" for i in range(40)])
    with pytest.raises(XattnError, match="group g is in two: img001 in train, img005 in val"):
        run(notes, tmp_path / "out", splits=splits_file(tmp_path))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undecoded")
def test_a_copy_in_two_splits_is_refused_before_decoding(study, tmp_path):
    notes = study([B, M] * 20)
    images = notes.parent / "images"
    (images / "img005.png").write_bytes((images / "img001.png").read_bytes())
    with pytest.raises(XattnError, match="file content is in two: img001 in train, img005 in val"):
        run(notes, tmp_path / "out", splits=splits_file(tmp_path))


@pytest.mark.usefixtures("undecoded")
def test_images_of_other_origin_that_share_a_group_are_refused_before_decoding(study, tmp_path):
    path = study([B, M] * 20, groups=[f"g{i // 4}" for i in range(40)])
    content = json.loads(path.read_text())
    for i, image in enumerate(content["images"]):
        image["values"] = {"site": "far" if i < 6 else "near"}
    path.write_text(json.dumps(content))
    recipe = tiny_recipe().with_values({"data.ood_column": "site", "data.ood_values": ["far"]})
    with pytest.raises(XattnError, match="group g1 is in two"):
        run(path, tmp_path / "out", recipe=recipe)


@pytest.mark.usefixtures("undecoded")
def test_a_search_refuses_them_as_a_training_does(study, tmp_path):
    notes = study([B, M] * 20, groups=[None if i not in (1, 5) else "g" for i in range(40)])
    space = {"search": {"space": {"train.lr": {"low": 1e-4, "high": 1e-2}}, "trials": 1}}
    recipe = type(tiny_recipe()).model_validate({**tiny_recipe().model_dump(), **space})
    with pytest.raises(XattnError, match="group g is in two"):
        search(recipe, notes, tmp_path / "out", splits=splits_file(tmp_path), progress=False)


def test_damaged_copies_are_left_out_as_any_damaged_image(study, tmp_path):
    notes = study([B, M] * 20)
    for name in ("img001", "img005"):
        (notes.parent / "images" / f"{name}.png").write_bytes(b"\x89PNG cut")
    result = run(
        read_annotations(notes), tmp_path / "out", splits=splits_file(tmp_path), device="cpu"
    )
    assert len(result.skipped) == 2
