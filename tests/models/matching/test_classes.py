"""Names of classes come from whoever says them, never in an order that was guessed in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from xattn.errors import CheckpointError
from xattn.models.checkpoints.records import Record
from xattn.models.matching.classes import find_classes

PATH = Path("model.pt")


def record(*lists: list[str]) -> Record:
    first, *rest = lists
    others = {f"file {i}": names for i, names in enumerate(rest)}
    return Record({"classes": first}, {"classes": "config.json"}, others)


def test_what_the_user_says_counts():
    found = find_classes(PATH, ["b", "a"], record(["a", "b"]), 2)
    assert found.names == ["b", "a"]
    assert not found.notes


def test_a_list_that_is_as_long_as_the_logits_is_preferred():
    found = find_classes(PATH, None, record(["x", "y", "z"], ["a", "b"]), 2)
    assert found.names == ["a", "b"]
    assert found.notes == ("classes a, b: file 0",)
    assert not found.guesses


def test_another_order_is_said_and_is_a_guess():
    found = find_classes(PATH, None, record(["a", "b"], ["b", "a"]), 2)
    assert found.names == ["a", "b"]
    assert found.guesses == found.notes
    assert "but b, a (file 0) is named too" in found.notes[0]


def test_two_names_stand_for_one_logit():
    assert find_classes(PATH, None, record(["no", "yes"]), 1).names == ["no", "yes"]


def test_lists_of_another_length_are_named():
    with pytest.raises(CheckpointError, match=r"its 2 classes .* config\.json names 3: x, y, z$"):
        find_classes(PATH, None, record(["x", "y", "z"]), 2)


def test_nobody_names_them():
    with pytest.raises(CheckpointError, match="Expected --classes with the names of its 4"):
        find_classes(PATH, None, Record(), 4)


def test_a_name_that_is_there_twice_is_refused_by_who_says_it():
    with pytest.raises(CheckpointError, match=r"but config\.json names 'a' twice; say them by"):
        find_classes(PATH, None, record(["a", "a"]), 2)
