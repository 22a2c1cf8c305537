"""What holds of every registry, however many there are."""

from __future__ import annotations

import inspect

import pytest

from tests.examples import registries
from xattn.errors import UsageError
from xattn.registry import meaning_of

REGISTRIES = registries()
ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


def test_there_is_a_registry_of_everything_that_can_be_added():
    assert set(REGISTRIES) >= {
        "architecture", "attention reader", "augmentation", "computed feature", "detector",
        "feature", "figure", "graded edit", "intervention", "layout", "method", "statistic",
        "table",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_has_its_name_a_meaning_in_one_line_and_a_source_if_its_kind_has_one(
    kind, name
):
    entry = REGISTRIES[kind][name]
    card = getattr(entry, "card", entry)
    if not inspect.isclass(card):
        assert card.name == name
        assert getattr(card, "source", "none needed") != ""
    meaning = getattr(card, "meaning", None) or getattr(card, "about", None) or meaning_of(entry)
    assert len(meaning) > 10
    assert "\n" not in meaning


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_name_is_taken_once(kind):
    registry = REGISTRIES[kind]
    for name in registry:
        with pytest.raises(UsageError, match=f"no other {kind} has"):
            registry.add(name, registry[name])


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_name_that_is_not_there_is_answered_with_one_that_is(kind):
    registry = REGISTRIES[kind]
    name = next(iter(registry))
    with pytest.raises(UsageError, match=f"Unknown {kind} {name + '0'!r}; .*{name!r}"):
        registry.find(name + "0")
