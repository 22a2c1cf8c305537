"""Metadata columns come as a few values that can be counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import xattn.cli
from xattn.annotations import read_annotations
from xattn.errors import XattnError
from xattn.splits.data_table import DataTable
from xattn.splits.metadata import OTHER, UNKNOWN, binned, traits_of
from xattn.splits.splits import read_splits

IDS = [f"i{i}" for i in range(40)]


def column(values) -> dict:
    return {one: value for one, value in zip(IDS, values, strict=True) if value is not None}


def test_many_numbers_are_cut_into_quarters():
    ages = binned(column(range(40)), IDS)
    assert list(dict.fromkeys(ages.values())) == [
        "up to 9",
        "over 9 to 19",
        "over 19 to 29",
        "over 29",
    ]


def test_few_numbers_stand_for_themselves():
    assert set(binned(column([0, 1.0, 2, 3] * 10), IDS).values()) == {"0", "1", "2", "3"}


def test_one_number_for_most_images_leaves_no_empty_quarter():
    sizes = binned(column([0] * 33 + list(range(1, 8))), IDS)
    assert set(sizes.values()) == {"up to 0", "over 0"}


def test_true_and_false_are_two_values_and_no_number():
    assert set(binned(column([True, False] * 20), IDS).values()) == {"true", "false"}


def test_images_without_a_value_are_a_value_of_their_own():
    assert list(binned(column(["a", None] * 20), IDS).values()) == ["a", UNKNOWN] * 20


def test_of_many_texts_the_rarest_are_taken_together():
    sites = binned(column([f"site {min(i, 39 - i)}" for i in range(40)]), IDS)
    assert len(set(sites.values())) == 12
    assert list(sites.values()).count(OTHER) == 18


def test_another_text_for_most_images_is_no_column_of_values():
    assert binned(column([f"file {i}.png" for i in range(40)]), IDS) == {}


@pytest.fixture
def path(study) -> Path:
    path = study(["benign", "malignant"] * 20, groups=[f"g{i // 2}" for i in range(40)])
    content = json.loads(path.read_text())
    for i, image in enumerate(content["images"]):
        image["values"] = {"site": "arm" if i < 12 else "leg", "scanner": "A", "source": f"f{i}"}
        image["values"] |= {"part": ("train", "val")[i // 2 % 2]}
    path.write_text(json.dumps(content))
    return path


def test_columns_that_tell_nothing_are_not_compared(path: Path):
    notes = read_annotations(path)
    ids = [image.id for image in notes.images]
    assert set(traits_of(notes, ids, DataTable()).compared) == {"site", "part"}
    table = DataTable(split_column="part")
    assert set(traits_of(notes, ids, table).compared) == {"site"}
    assert traits_of(notes, ids, DataTable(stratify=("site",))).stratify.keys() == {"site"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sight", "'sight', which `stratify` .* no image has one; did you mean 'site'"),
        ("source", "few values in `stratify` .*, but 'source' has 40 in 40 images"),
    ],
)
def test_a_column_that_cannot_be_stratified_is_refused(path: Path, name: str, said: str):
    notes = read_annotations(path)
    with pytest.raises(XattnError, match=said):
        traits_of(notes, [image.id for image in notes.images], DataTable(stratify=(name,)))


def test_the_command_stratifies_and_says_how_alike_the_splits_are(path: Path, tmp_path, capsys):
    out = tmp_path / "mine.csv"
    words = ["annotations", "split", str(path), "--out", str(out), "--stratify", "site"]
    assert xattn.cli.main([*words, "--val", "0.25", "--test", "0.25"]) == 0
    splits = read_splits(out)
    arms = [splits[f"img{i:03d}"] for i in range(12)]
    assert [arms.count(split) for split in ("train", "val", "test")] in ([6, 4, 2], [6, 2, 4])
    said = capsys.readouterr().out
    assert "furthest apart" in said
    assert "'leg': " in said
    assert (tmp_path / "mine_alike.csv").read_text().startswith("column,value,train,val,test,ood,")
