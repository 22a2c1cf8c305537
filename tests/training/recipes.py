"""Recipes of seconds."""

from __future__ import annotations

from xattn.training.recipe import Recipe, parse_recipe


def tiny_recipe(*, architecture: str = "tiny", size: int = 16, **changes: object) -> Recipe:
    """Return a recipe of seconds; `changes` go to [train], or to [data] if they are its keys."""
    data: dict[str, object] = {"size": size, "val": 0.25, "test": 0.25}
    train: dict[str, object] = {"epochs": 2, "lr": 0.01, "batch_size": 8}
    for key, value in changes.items():
        (data if key in ("val", "test", "mode", "split_seed") else train)[key] = value
    tables = {"model": {"architecture": architecture}, "data": data, "train": train}
    return parse_recipe(tables, "the test")


def resumed_recipe(**changes: object) -> Recipe:
    """Return a recipe with all that has a state: schedule, patience, augmentation, dropout."""
    given = {"epochs": 5, "patience": 4, "warmup": 0.2, "schedule": "cosine", **changes}
    return tiny_recipe(augment="dermoscopy", **given)
