"""Methods by name; each registered one is tested by being registered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import SIZE, Conv, vit, with_statistics, wrapped
from xattn.attribution.passes.capture import gather
from xattn.attribution.registry import METHODS, Method, get_methods, method
from xattn.errors import MethodError, UsageError
from xattn.models import Model

get_methods([])


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
    needs = METHODS[name].card.needs
    attention = model.attention_layers if needs & {"attention", "all attention"} else ()
    evidence = gather(
        model, x, targets,
        gradients="gradients" in needs, activations="activations" in needs, attention=attention,
    )  # fmt: skip
    return METHODS[name].maps(model, evidence)


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_has_a_whole_card(self, name):
        card = METHODS[name].card
        assert card.name == name
        assert card.family in FAMILIES
        assert card.needs <= {"activations", "gradients", "attention", "all attention", "model"}
        assert card.needs
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


def test_methods_are_looked_up_in_the_order_asked_for_each_once():
    found = get_methods(["attention", "gradcam", "attention"])
    assert [m.card.name for m in found] == ["attention", "gradcam"]


def test_an_unknown_method_is_refused_with_near_names():
    with pytest.raises(UsageError, match=r"Unknown method 'gradcm'; did you mean .*'gradcam'.*"):
        get_methods(["gradcm"])


def test_attention_of_a_model_without_any_is_refused_with_the_way_out():
    with pytest.raises(MethodError, match="custom has none that can be read; use gradcam"):
        METHODS["attention"].check(wrapped(Conv()))


def test_two_methods_of_one_name_are_a_mistake():
    class Again(Method):
        card = METHODS["gradcam"].card

    with pytest.raises(ValueError, match="'gradcam' is registered twice"):
        method(Again)
