"""Methods by name; each registered one is tested by being registered."""

from __future__ import annotations

import json
import sys
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import xattn.cli
from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import SIZE, Conv, vit, with_statistics, wrapped
from xattn.attribution.attribute import attribute
from xattn.attribution.methods.attention import Attention
from xattn.attribution.registry import (
    METHODS,
    Method,
    MethodCard,
    Needs,
    method,
    methods,
    register,
)
from xattn.errors import MethodError, UsageError
from xattn.models import Model
from xattn.plugins import load_file

FAMILIES = {"cam", "attention", "pixel", "relevance"}


def model_for(name: str) -> Model:
    """The smallest net that the method makes sense for, of a class that differs from the other."""
    for net in (vit(), with_statistics(Conv()).eval()):
        model = wrapped(net)
        try:
            METHODS[name].check(model)
        except MethodError:
            continue
        return model
    pytest.fail(f"{name} works on none of the nets")


def made(name: str, model: Model, x: Tensor, targets: Tensor | None = None) -> Tensor:
    return attribute(model, x, name, targets)


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_has_a_whole_card(self, name):
        card = METHODS[name].card
        assert card.name == name
        assert card.family in FAMILIES
        assert card.needs
        assert isinstance(card.needs, Needs)
        assert "arXiv" in card.source or "doi" in card.source
        assert card.resolution
        assert card.cost
        assert card.models

    def test_gives_a_map_per_image_of_the_grid_and_sign_its_card_says(self, name):
        model = model_for(name)
        maps = made(name, model, torch.randn(3, 3, *SIZE))
        card = METHODS[name].card
        grid = SIZE if card.resolution == "input" else model.target_layout.grid
        assert maps.shape == (3, *grid)
        assert torch.isfinite(maps).all()
        assert not maps.requires_grad
        assert card.signed == bool((maps < 0).any())

    def test_depends_on_the_class_if_its_card_says_so(self, name):
        model = model_for(name)
        x = torch.randn(4, 3, *SIZE)
        first, second = (made(name, model, x, torch.full((4,), c)) for c in (0, 1))
        assert METHODS[name].card.by_class != torch.equal(first, second)

    def test_gives_each_image_what_it_gets_alone(self, name):
        model = model_for(name)
        x = torch.randn(3, 3, *SIZE)
        targets = torch.tensor([0, 1, 0])
        together = made(name, model, x, targets)
        alone = made(name, model, x[1:2], targets[1:2])
        scale = float(together.abs().max())
        torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=1e-4 * scale)

    def test_leaves_the_model_as_it_was(self, name):
        model = model_for(name)
        made(name, model, torch.randn(1, 3, *SIZE))
        unsettle(model.module)
        before = Snapshot(model.module)
        made(name, model, torch.randn(2, 3, *SIZE))
        before.check(model.module)

    def test_works_on_frozen_weights_under_no_grad_and_inference_mode(self, name):
        model = model_for(name)
        model.module.requires_grad_(False)
        x = torch.randn(2, 3, *SIZE)
        targets = torch.tensor([0, 1])
        expected = made(name, model, x, targets)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                torch.testing.assert_close(made(name, model, x, targets), expected)

    def test_is_the_same_the_second_time(self, name):
        model = model_for(name)
        x = torch.randn(2, 3, *SIZE)
        first = made(name, model, x)
        torch.rand(3)  # the generators of the caller have gone on
        torch.testing.assert_close(made(name, model, x), first, rtol=1e-6, atol=1e-8)

    def test_leaves_the_callers_random_numbers_alone(self, name):
        model = model_for(name)
        x = torch.randn(1, 3, *SIZE)
        before, np_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        made(name, model, x)
        assert torch.equal(torch.get_rng_state(), before)
        assert (np.random.get_state()[1] == np_before).all()  # noqa: NPY002

    def test_is_a_frozen_dataclass_whose_options_have_defaults(self, name):
        first = METHODS[name]
        assert type(first)() == first
        assert first.name == name
        with pytest.raises(FrozenInstanceError):
            first.card = None


def test_methods_are_listed_by_family_with_their_cards():
    cards = methods()
    assert list(cards)[:3] == ["gradcam", "gradcam++", "hirescam"]
    assert cards["gradcam"] is METHODS["gradcam"].card
    families = [card.family for name, card in cards.items() if "/" not in name]
    assert list(dict.fromkeys(families)) == ["cam", "attention", "pixel", "relevance"]


def test_needs_are_shown_in_words():
    assert str(Needs.MODEL | Needs.ACTIVATIONS) == "activations, model"
    assert str(Needs.ALL_ATTENTION) == "all attention"


def test_an_unknown_method_is_refused_with_near_names():
    with pytest.raises(UsageError, match=r"Unknown method 'gradcm'; did you mean .*'gradcam'.*"):
        method("gradcm")


def test_attention_of_a_model_without_any_is_refused_with_the_way_out():
    with pytest.raises(MethodError, match="custom has none that can be read; use gradcam"):
        Attention().check(wrapped(Conv()))


def test_two_methods_of_one_name_are_a_mistake():
    @dataclass(frozen=True)
    class Again(type(METHODS["gradcam"])):
        pass

    with pytest.raises(UsageError, match=r"no other method has, but got 'gradcam'"):
        register(Again)


def test_a_method_whose_options_would_not_be_seen_is_a_mistake():
    class Plain(Method):
        card = MethodCard("plain", "cam", "doi", Needs.MODEL, "input")
        smoothing: int = 3

        def maps(self, model, captured):
            return captured.inputs.sum(1)

    with pytest.raises(TypeError, match=r"Expected @dataclass\(frozen=True\) on Plain"):
        register(Plain)
    assert "plain" not in METHODS


ONE_FILE = '''
"""The size of the activations, raised to a power."""

from dataclasses import dataclass

from xattn.attribution.registry import Method, MethodCard, Needs, register


@register
@dataclass(frozen=True)
class ActivationPower(Method):
    """Activations, without any class."""

    card = MethodCard(
        name="activation-power",
        family="cam",
        source="doi:10.1000/182",
        needs=Needs.ACTIVATIONS,
        resolution="grid of the explained layer",
        by_class=False,
    )
    power: float = 1.0
    mean: bool = False

    def maps(self, model, captured):
        size = captured.activations.abs() ** self.power
        return size.mean(1) if self.mean else size.sum(1)
'''


@pytest.fixture
def one_file(tmp_path: Path):
    path = tmp_path / "activation_power.py"
    path.write_text(ONE_FILE)
    module = load_file(path)
    yield path
    del METHODS["activation-power"]
    del sys.modules[module]


def test_a_method_in_one_file_of_ones_own_is_used_like_every_other(one_file, capsys):
    assert list(methods())[-1] == "activation-power"
    model, x = wrapped(Conv().eval()), torch.randn(2, 3, *SIZE)
    plain = attribute(model, x, "activation-power")
    assert plain.shape == (2, *model.target_layout.grid)
    mean = attribute(model, x, "activation-power[mean=true]")
    torch.testing.assert_close(6 * mean, plain)  # of six channels
    assert method("activation-power[power=0.5]").power == 0.5
    assert method("activation-power[mean=true,power=2]").name == (
        "activation-power[power=2.0,mean=True]"
    )
    again = method("activation-power[power=2.0,mean=True]")
    assert again == method("activation-power[mean=true,power=2]")
    assert method("activation-power[power=1]") == METHODS["activation-power"]
    with pytest.raises(UsageError, match=r"Expected a number as power .* but got 'two'"):
        method("activation-power[power=two]")
    with pytest.raises(UsageError, match=r"Expected true or false as mean .* but got '3'"):
        method("activation-power[mean=3]")
    assert xattn.cli.main(["models", "--methods", "--json"]) == 0
    (*_, row) = json.loads(capsys.readouterr().out)["methods"]
    assert (row["name"], row["needs"]) == ("activation-power", "activations")


def test_a_method_dropped_into_the_room_is_listed(tmp_path, monkeypatch):
    import xattn.attribution.methods as room

    (tmp_path / "activation_power.py").write_text(ONE_FILE)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    monkeypatch.setattr(METHODS, "_loaded", False)
    try:
        assert list(METHODS)[-1] == "activation-power"
        assert [field.name for field in fields(METHODS["activation-power"])] == ["power", "mean"]
    finally:
        del METHODS["activation-power"]
        sys.modules.pop("xattn.attribution.methods.activation_power")
