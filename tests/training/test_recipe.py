from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.recipes import tiny_recipe
from xattn.errors import XattnError
from xattn.models import build
from xattn.splits.data_table import DataTable
from xattn.training.augmentations import AUGMENTATIONS
from xattn.training.recipe import ModelTable, TrainTable, parse_recipe, read_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "models").glob("*.toml"))
OF_DOCS = sorted((ROOT / "docs").rglob("*.toml"))
GOOD: dict[str, Any] = {
    "model": {"architecture": "tiny"},
    "data": {"mode": "crop"},
    "train": {"epochs": 3, "lr": 0.1},
}


def changed(table: str, key: str, value: object) -> dict[str, Any]:
    return {**GOOD, table: {**GOOD[table], key: value}}


def test_the_models_folder_holds_recipes():
    assert len(RECIPES) >= 4
    assert len(OF_DOCS) >= 2


@pytest.mark.parametrize("path", [*RECIPES, *OF_DOCS], ids=lambda path: path.stem)
def test_every_recipe_builds_its_architecture(path: Path):
    recipe = read_recipe(path)

    with torch.device("meta"):  # shapes only
        network = build(recipe.model.architecture, 2, **recipe.model.options).eval()
        logits = network(torch.zeros(1, 3, *recipe.preprocessing.size))

    assert logits.shape == (1, 2)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_of_the_models_folder_is_named_after_its_architecture(path: Path):
    assert read_recipe(path).model.architecture == path.stem


def test_every_key_and_recipe_stands_in_the_readme_of_the_folder():
    text = (RECIPES[0].parent / "README.md").read_text()
    keys = [key for table in (ModelTable, DataTable, TrainTable) for key in table.model_fields]
    assert [key for key in keys if f"`{key}`" not in text] == []
    assert [path.name for path in RECIPES if f"`{path.name}`" not in text] == []
    assert [name for name in AUGMENTATIONS if f'`"{name}"`' not in text] == []


@pytest.mark.parametrize(
    ("table", "key", "bad", "good"),
    [
        ("model", "architecture", 3, "resnet18"),
        ("model", "options", [1], {"heads": 2}),
        ("data", "size", 0, 1),
        ("data", "size", [8, 8, 8], [8, 12]),
        ("data", "size", "128", 128),
        ("data", "size", True, 64),
        ("data", "mode", "stretch", "squash"),
        ("data", "mean", [0.5, 0.5], [0.5, 0.5, 0.5]),
        ("data", "std", [1, 0, 1], [1, 0.1, 1]),
        ("data", "val", 0.0, 0.1),
        ("data", "val", 0.85, 0.84),
        ("data", "test", -0.1, 0.0),
        ("data", "resize", 0, 300),
        ("data", "ood_column", 1, None),
        ("data", "ood_column", "site", None),  # without ood_values
        ("data", "ood_values", [1, "x"], []),  # without ood_column
        ("data", "ood_values", "x", []),
        ("data", "split_values", {"0": "train"}, {}),  # without split_column
        ("data", "split_column", 3, "fold"),
        ("train", "epochs", 0, 1),
        ("train", "epochs", 2.5, 2),
        ("train", "batch_size", 1, 2),
        ("train", "lr", 0.0, 1e-9),
        ("train", "lr", float("nan"), 1),
        ("train", "lr", "1e-3", 1e-3),
        ("train", "weight_decay", -1, 0),
        ("train", "schedule", "linear", "step"),
        ("train", "warmup", 1.0, 0.99),
        ("train", "class_weights", True, "none"),
        ("train", "augment", "heavy", "light"),
        ("train", "sampling", "weighted", "shuffled"),
        ("train", "sampling", "balanced", "shuffled"),  # with balanced weights: twice over
        ("train", "precision", 16, "16"),
        ("train", "clip", -1, 0),
        ("train", "patience", -1, 0),
        ("train", "seed", -1, 0),
        ("train", "init", 3, "weights.pt"),
    ],
)
def test_a_bad_value_is_refused_by_its_key_and_its_good_neighbour_is_taken(table, key, bad, good):
    parse_recipe(changed(table, key, good), "r.toml")
    with pytest.raises(XattnError, match=rf"r\.toml, but got {table}\S*: .+"):
        parse_recipe(changed(table, key, bad), "r.toml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (changed("train", "epoch", 3), "train.epoch: unknown key; did you mean 'epochs'?"),
        (changed("data", "sise", 3), "data.sise: unknown key; did you mean 'size' or 'resize'?"),
        ({**GOOD, "trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({**GOOD, "x": {}}, "x: unknown key; known: data, model, search, train"),
        ({"model": {}, "train": {"epochs": 1, "lr": 1}}, "model.architecture: missing"),
        ({"model": {"architecture": "a"}}, "train: missing"),
    ],
)
def test_unknown_and_missing_keys_are_named(values: dict[str, Any], said: str):
    with pytest.raises(XattnError) as caught:
        parse_recipe(values, "r.toml")
    assert said in str(caught.value)


def test_all_problems_of_a_recipe_are_told_at_once():
    values = {"model": {"architecture": 1}, "train": {"epochs": 0, "lr": -1, "speed": 1}}
    with pytest.raises(XattnError) as caught:
        parse_recipe(values, "r.toml")
    for key in ("model.architecture", "train.epochs", "train.lr", "train.speed"):
        assert key in str(caught.value)
    assert "\n" not in str(caught.value)


def test_size_and_resize_that_do_not_go_together_are_refused():
    data = {"mode": "crop", "size": 128, "resize": 100}
    with pytest.raises(XattnError, match=r"in r\.toml, but got data: .*resize"):
        parse_recipe({**GOOD, "data": data}, "r.toml")
    assert parse_recipe({**GOOD, "data": {**data, "resize": 140}}, "r.toml").data.resize == 140


def test_one_number_is_both_sides():
    assert parse_recipe(changed("data", "size", 96), "").preprocessing.size == (96, 96)


@pytest.mark.parametrize("content", [b"[model\n", b"a = '\xff'", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(XattnError, match="Expected TOML") as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(XattnError, match=r"absent\.toml.*No such file"):
        read_recipe(tmp_path / "absent.toml")


def test_init_is_relative_to_the_recipe(tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_text(tiny_recipe(init="../weights.pt").to_toml())
    assert read_recipe(path).train.init == str(tmp_path.parent / "weights.pt")


def test_changes_are_validated_too():
    assert tiny_recipe().with_train(epochs=7).train.epochs == 7
    with pytest.raises(XattnError, match=r"train\.epochs"):
        tiny_recipe().with_train(epochs=0)


OPTIONS = st.dictionaries(
    st.text(st.characters(codec="utf-8")),
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.lists(st.integers(0, 9)),
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(
    options=OPTIONS,
    lr=st.floats(1e-12, 1e3),
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
)
def test_a_recipe_that_is_written_reads_back_the_same(tmp_path_factory, options, lr, size):
    recipe = parse_recipe(
        {
            "model": {"architecture": "tiny", "options": options},
            "data": {"size": list(size)},
            "train": {"epochs": 1, "lr": lr, "init": "/weights/of mine.pt"},
        },
        "test",
    )
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8", newline="")
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("augment", "domain", "used"),
    [
        (None, "tissue", "histology"),
        (None, "radiograph", "radiograph"),
        (None, None, "dermoscopy"),
        ("light", "radiograph", "light"),
    ],
)
def test_augmentation_follows_the_domain_unless_the_recipe_names_one(augment, domain, used):
    recipe = tiny_recipe(**({} if augment is None else {"augment": augment}))
    assert recipe.for_domain(domain).train.augment == used


def test_an_augmentation_for_want_of_a_domain_is_said():
    auto = tiny_recipe()
    assert auto.for_domain(None).train.augment == "dermoscopy"
    assert "domain of the images is not known" in auto.doubts(None)[0]
    assert not auto.doubts("radiograph")
    assert not tiny_recipe(augment="light").doubts(None)
