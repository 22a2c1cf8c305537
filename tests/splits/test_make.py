"""Images are split without a training as a training would."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import xattn.cli
from tests.training.recipes import tiny_recipe
from xattn.annotations import read_annotations
from xattn.errors import UsageError, XattnError
from xattn.splits.assign import choose_samples
from xattn.splits.make import split_images
from xattn.splits.splits import read_domains, read_splits
from xattn.training.dataset import load_dataset

B, M = "benign", "malignant"


@pytest.fixture
def path(study) -> Path:
    path = study([B, M] * 30, groups=[None if i % 3 else f"g{i // 6}" for i in range(60)])
    content = json.loads(path.read_text())
    for i, image in enumerate(content["images"]):
        image["values"] = {"site": "arm" if i % 6 in (0, 3) else "leg"} if i < 48 else {}
    path.write_text(json.dumps(content))
    return path


def test_the_splits_are_those_of_a_training(path: Path):
    notes = read_annotations(path)
    recipe = tiny_recipe()
    data = {"val": 0.25, "test": 0.25}
    assert split_images(notes, data=data).splits == split_images(notes, data=recipe.data).splits
    samples, _ = choose_samples(notes, None, recipe.data)
    assert (
        split_images(notes, data=data).splits == load_dataset(notes, recipe, (samples, [])).splits
    )


def test_the_command_writes_splits_that_read_back(path: Path, tmp_path: Path, capsys):
    out = tmp_path / "new" / "splits.csv"
    words = ["annotations", "split", str(path), "--out", str(out), "--seed", "3", "--val", "0.2"]
    assert xattn.cli.main([*words, "--ood-column", "site", "--ood-value", "arm"]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(out, keep_default_na=False)
    assert list(table.columns) == ["image_id", "split", "domain"]
    assert set(table[table["domain"] == "arm"]["split"]) == {"ood"}
    assert "ood: 16 images, 8 groups, 8 benign, 8 malignant" in said
    assert "note: 12 of 60 images have no value of site" in said
    notes = read_annotations(path)
    settings = {"val": 0.2, "split_seed": 3, "ood_column": "site", "ood_values": ["arm"]}
    assert read_splits(out) == split_images(notes, data=settings).splits
    assert len(read_domains(out)) == 48


def test_the_command_takes_a_split_column(path: Path, tmp_path: Path, capsys):
    out = tmp_path / "splits.csv"
    words = ["annotations", "split", str(path), "--out", str(out), "--split-column", "site"]
    values = ["--split-value", "arm=train", "--split-value", "leg=val", "--json"]
    assert xattn.cli.main([*words, *values]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["splits"]["train"]["images"] == 16
    assert "Expected a value of site to say its split" in captured.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--val", "1.5"], "val: Input should be less than 1"),
        (["--ood-value", "arm"], "ood_values alone"),
        (["--split-column", "site", "--split-value", "arm"], "Expected VALUE=SPLIT"),
        (["--split-column", "site", "--split-value", "arm=tset"], "split_values.arm: Input"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    path: Path, tmp_path: Path, capsys, options: list[str], said: str
):
    out = tmp_path / "splits.csv"
    assert xattn.cli.main(["annotations", "split", str(path), "--out", str(out), *options]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_cannot_be_read_is_told_and_left_out(path: Path, monkeypatch):
    notes = read_annotations(path)
    notes.images[1].file.unlink()
    told: list[object] = []
    made = split_images(notes, on_problem=told.append)
    assert len(made.splits) == 59
    assert ["img001.png" in str(one) for one in told] == [True]


def test_leaks_are_refused(path: Path):
    notes = read_annotations(path)
    data = {"split_column": "site", "split_values": {"arm": "train", "leg": "val"}}
    notes.images[1].file.write_bytes(notes.images[0].file.read_bytes())
    with pytest.raises(XattnError, match="file content is in two: img000 in train, img001 in val"):
        split_images(notes, data=data)
    with pytest.raises(UsageError, match="ood_values: "):
        split_images(notes, data={"ood_column": "site", "ood_values": 3})
