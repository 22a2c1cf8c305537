"""Metadata say which images are of other origin, and which splits came with the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.training.recipes import tiny_recipe
from xattn.annotations import read_annotations
from xattn.errors import XattnError
from xattn.splits.assign import bind_by_metadata, choose_samples
from xattn.splits.data_table import DataTable, value_text
from xattn.splits.samples import select_samples
from xattn.splits.splits import write_splits
from xattn.training.dataset import load_dataset

B, M = "benign", "malignant"


def annotated(study, labels, values, groups=None):
    """An annotation file whose images have these values, a dictionary each."""
    path = study(labels, groups=groups)
    content = json.loads(path.read_text())
    for image, own in zip(content["images"], values, strict=True):
        image["values"] = own
    path.write_text(json.dumps(content))
    return read_annotations(path, strict=True)


def bound(annotations, **data):
    samples, failures = bind_by_metadata(
        select_samples(annotations)[0], annotations, DataTable.model_validate(data)
    )
    return samples, failures


def of_centres(study, groups=None):
    centres = [0, 0, 1, 1, 2, 2, None, 0] * 5
    values = [{} if c is None else {"center": c} for c in centres]
    return annotated(study, [B, M] * 20, values, groups), centres


def with_data(**data):
    recipe = tiny_recipe()
    return recipe.model_copy(
        update={"data": DataTable.model_validate({"size": 8, "val": 0.2, "test": 0.2, **data})}
    )


@pytest.mark.parametrize("wanted", [[1, 2], [1.0, "2"], ["2", "1"]])
def test_images_of_the_named_values_are_ood_and_the_others_are_free(study, wanted):
    notes, centres = of_centres(study)
    samples, failures = bound(notes, ood_column="center", ood_values=wanted)
    assert [s.split for s in samples] == ["ood" if c in (1, 2) else None for c in centres]
    assert [s.domain for s in samples] == [None if c is None else str(c) for c in centres]
    assert failures == []


def test_the_free_images_are_split_by_their_fractions_and_missing_values_are_counted(study):
    notes, centres = of_centres(study)
    recipe = with_data(ood_column="center", ood_values=[2])
    samples, _ = choose_samples(notes, None, recipe.data)
    dataset = load_dataset(notes, recipe, (samples, []))
    counts = {split: facts["images"] for split, facts in dataset.describe().items()}
    assert counts == {"train": 18, "val": 6, "test": 6, "ood": 10}
    assert set(dataset.domains.values()) == {"0", "1", "2"}
    assert len(dataset.domains) == sum(c is not None for c in centres)
    assert dataset.notes == (
        "5 of 40 images have no value of center; they count as in-distribution",
    )


def test_the_in_distribution_splits_do_not_follow_from_which_images_are_ood(study):
    notes, _ = of_centres(study)
    free = [s for s in select_samples(notes)[0] if notes.by_id[s.id].values.get("center") != 2]
    recipe = with_data(ood_column="center", ood_values=[2])
    samples, _ = choose_samples(notes, None, recipe.data)
    with_ood = load_dataset(notes, recipe, (samples, [])).splits
    without = load_dataset(notes, with_data(), (free, [])).splits
    assert {i: s for i, s in with_ood.items() if s != "ood"} == without


def test_a_group_with_images_on_both_sides_is_refused_with_the_way_out(study):
    notes, _ = of_centres(study, groups=["lesion 7" if i in (1, 2) else None for i in range(40)])
    recipe = with_data(ood_column="center", ood_values=[1])
    samples, _ = choose_samples(notes, None, recipe.data)
    with pytest.raises(XattnError, match=r"group lesion 7 is in two: .* `ood_values` that hold"):
        load_dataset(notes, recipe, (samples, []))


def test_a_copy_of_a_file_on_both_sides_is_refused(study):
    notes, _ = of_centres(study)
    notes.images[2].file.write_bytes(notes.images[0].file.read_bytes())
    recipe = with_data(ood_column="center", ood_values=[1])
    samples, _ = choose_samples(notes, None, recipe.data)
    with pytest.raises(XattnError, match=r"file content is in two: img000 in .*, img002 in ood"):
        load_dataset(notes, recipe, (samples, []))


def test_an_ood_set_of_one_class_is_refused(study):
    values = [{"site": "leg" if i in (1, 3, 5) else "arm"} for i in range(40)]
    notes = annotated(study, [B, M] * 20, values)
    recipe = with_data(ood_column="site", ood_values=["leg"])
    samples, _ = choose_samples(notes, None, recipe.data)
    with pytest.raises(XattnError, match=r"'ood', but got none of benign .* other `ood_values`"):
        load_dataset(notes, recipe, (samples, []))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"ood_column": "centre", "ood_values": [1]}, "'centre' in .*did you mean 'center'"),
        ({"ood_column": "center", "ood_values": [7]}, "has '7'; known: 0, 1, 2"),
        ({"split_column": "center"}, r"but got '0' \(15 images\), '1' \(10 images\), '2'"),
        ({"split_column": "fold"}, "`split_column` 'fold' .*known: center"),
    ],
)
def test_a_column_or_value_that_no_image_has_is_named(study, data, said):
    notes, _ = of_centres(study)
    with pytest.raises(XattnError, match=said):
        bound(notes, **data)


def test_a_split_column_decides_by_its_values_and_none_leaves_out(study):
    notes, centres = of_centres(study)
    samples, failures = bound(
        notes, split_column="center", split_values={"0": "train", "1": "val", "2": "none"}
    )
    assert [s.split for s in samples] == [{0: "train", 1: "val"}[c] for c in centres if c in (0, 1)]
    assert [f.stage for f in failures] == ["split"] * 5
    assert "Expected a value of center" in str(failures[0])


def test_a_split_column_may_name_the_splits_themselves(study):
    names = ["train", "val", "test", "ood"] * 10
    notes = annotated(study, [B, M] * 20, [{"fold": name} for name in names])
    assert [s.split for s in bound(notes, split_column="fold")[0]] == names


def test_a_split_column_that_leaves_out_everything_is_refused(study):
    notes, _ = of_centres(study)
    with pytest.raises(XattnError, match="leaves out all"):
        bound(notes, split_column="center", split_values=dict.fromkeys("012", "none"))


def test_two_columns_may_not_contradict_each_other(study):
    notes, _ = of_centres(study)
    both = {"split_column": "center", "ood_column": "center", "ood_values": [2]}
    with pytest.raises(XattnError, match=r"whose center is 2 in the split 'ood' alone.*img004"):
        bound(notes, **both, split_values={"0": "train", "1": "val", "2": "test"})
    samples, _ = bound(notes, **both, split_values={"0": "train", "1": "val", "2": "ood"})
    assert {s.domain: s.split for s in samples} == {"0": "train", "1": "val", "2": "ood"}


def test_a_splits_file_wins_over_the_split_column_but_not_over_ood(study, tmp_path: Path):
    notes, centres = of_centres(study)
    splits = {f"img{i:03d}": "ood" if c == 2 else "train" for i, c in enumerate(centres)}
    path = tmp_path / "splits.csv"
    path.write_text(write_splits(splits, {"img000": "elsewhere"}))

    samples, _ = choose_samples(notes, None, DataTable(split_column="center"), path)
    assert {s.id: s.split for s in samples} == splits
    assert [s.domain for s in samples[:2]] == ["elsewhere", None]

    data = DataTable.model_validate({"ood_column": "center", "ood_values": [1, 2]})
    with pytest.raises(XattnError, match="img002 is bound to 'train'"):
        choose_samples(notes, None, data, path)


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (1.0, "1"), (1.5, "1.5"), (True, "true"), (" x", " x")]
)
def test_values_are_compared_as_text(value, text):
    assert value_text(value) == text
