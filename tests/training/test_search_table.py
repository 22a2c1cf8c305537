from __future__ import annotations

from typing import Any

import pytest

from xattn.errors import XattnError
from xattn.training.recipe import Recipe, parse_recipe, read_recipe

BASE: dict[str, Any] = {
    "model": {"architecture": "tiny", "options": {"width": 8}},
    "train": {"epochs": 2, "lr": 0.01},
}


def with_space(space: object, **search: object) -> Recipe:
    return parse_recipe({**BASE, "search": {"space": space, **search}}, "r.toml")


SPACE = {
    "train.lr": {"low": 1e-5, "high": 1e-2, "log": True},
    "train.batch_size": {"low": 4, "high": 16},
    "train.schedule": ["cosine", "step"],
    "model.options.stages": [[3], [4], [3, 4]],
    "data.size": [32, [32, 48]],
}


def test_ranges_and_choices_are_axes_whose_labels_tell_the_choices_apart():
    axes = with_space(SPACE).search.space
    assert list(axes) == list(SPACE)
    assert axes["train.lr"].log
    assert axes["train.batch_size"].ends == (4, 16)
    stages = axes["model.options.stages"]
    assert stages.labels == ("[3]", "[4]", "[3, 4]")
    assert [stages.value(label) for label in stages.labels] == [[3], [4], [3, 4]]
    assert axes["train.lr"].value(0.5) == 0.5


def test_keys_may_be_written_with_or_without_quotes(tmp_path):
    path = tmp_path / "recipe.toml"
    tables = '[model]\narchitecture = "tiny"\n[train]\nepochs = 2\nlr = 0.1\n[search.space]\n'
    path.write_text(tables + 'train.lr = { low = 0.1, high = 1.0 }\ntrain.augment = ["none"]\n')
    bare = read_recipe(path)
    path.write_text(tables + '"train.lr" = { low = 0.1, high = 1.0 }\n"train.augment" = ["none"]\n')
    assert read_recipe(path) == bare
    assert list(bare.search.space) == ["train.lr", "train.augment"]


def test_a_recipe_with_a_search_reads_back_the_same(tmp_path):
    recipe = with_space(SPACE, trials=7, sampler="random", pruner="hyperband")
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert read_recipe(path) == recipe
    assert recipe.with_train(epochs=9).search == recipe.search
    assert "search" not in recipe.to_record()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "search.space: "),
        ({"train.lrr": [0.1]}, "search.space: train.lrr: unknown key; did you mean 'lr'?"),
        ({"lr": [0.1]}, "search.space: lr: unknown key"),
        ({"train.lr": {"low": 0.1, "high": 0.1}}, "expected low below high, but got 0.1 and 0.1"),
        ({"train.lr": {"low": 0.0, "high": 0.1, "log": True}}, "expected low above 0 with log"),
        ({"train.lr": {"low": 0.0, "high": 0.1}}, "search.space: train.lr: "),
        ({"train.lr": {"low": 0.1}}, "expected low and high, or a list of choices"),
        ({"train.lr": {"low": 0.1, "high": 1.0, "lg": True}}, "unknown key; did you mean 'log'"),
        ({"train.lr": {"low": 0.1, "high": "1"}}, "search.space.train.lr.high"),
        ({"train.lr": {"low": 0.1, "high": 1.0, "choices": [1.0]}}, "expected either choices or"),
        ({"train.augment": []}, "expected different choices, but got []"),
        ({"train.augment": ["none", "none"]}, "expected different choices"),
        (
            {"train.augment": ["none", "heavy"]},
            "search.space: train.augment: unknown augmentation 'heavy'; known: dermoscopy",
        ),
        ({"train.batch_size": {"low": 1, "high": 4}}, "search.space: train.batch_size: "),
        ({"train.lr": 0.1}, "search.space.train.lr"),
        ({"train.seed": [1, 2]}, "expected no train.seed in space"),
        ({"data.val": [0.1, 0.2]}, "expected no data.val in space"),
    ],
)
def test_a_space_that_cannot_be_searched_names_the_key_and_the_problem(space, said):
    with pytest.raises(XattnError, match=r"in r\.toml, but got search") as caught:
        with_space(space)
    first, _, rest = said.partition(".*")
    assert first in str(caught.value)
    assert rest in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("trials", 0), ("sampler", "grid"), ("pruner", "mean"), ("metric", "test_auc"), ("n", 1)],
)
def test_a_bad_setting_of_the_search_is_named(key, value):
    with pytest.raises(XattnError, match=rf"search\.{key}: "):
        with_space(SPACE, **{key: value})


def test_values_are_put_in_by_their_dotted_key():
    recipe = with_space(SPACE)
    changed = recipe.with_values({"train.lr": 0.5, "model.options.heads": 2, "data.size": 40})
    assert (changed.train.lr, changed.data.size) == (0.5, (40, 40))
    assert changed.model.options == {"width": 8, "heads": 2}
    assert changed.search is None
    assert recipe.model.options == {"width": 8}
