"""Methods by name; each registered one is tested by being registered."""

from __future__ import annotations

import pytest
import torch

from tests.models.nets import SIZE, Conv, vit, wrapped
from xattn.errors import MethodError, UsageError
from xattn.explain.evidence import gather
from xattn.explain.registry import METHODS, Card, Method, get_methods, method

get_methods([])


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_has_a_whole_card(self, name):
        card = METHODS[name].card
        assert card.name == name
        assert card.needs <= {"gradients", "attention"}
        assert card.needs
        assert "arXiv" in card.source
        assert card.resolution

    def test_gives_a_map_per_image_of_the_sign_its_card_says(self, name):
        model = wrapped(vit())
        x = torch.randn(3, 3, *SIZE)
        maps = METHODS[name].maps(model, gather(model, x, attention=model.attention_layers[-1:]))
        assert maps.shape == (3, 4, 6)
        assert torch.isfinite(maps).all()
        assert METHODS[name].card.signed or (maps >= 0).all()


def test_methods_are_looked_up_in_the_order_asked_for_each_once():
    found = get_methods(["attention", "gradcam", "attention"])
    assert [m.card.name for m in found] == ["attention", "gradcam"]


def test_an_unknown_method_is_refused_with_near_names():
    with pytest.raises(UsageError, match=r"Unknown method 'gradcm'; did you mean 'gradcam'\?"):
        get_methods(["gradcm"])


def test_attention_of_a_model_without_any_is_refused_with_the_way_out():
    with pytest.raises(MethodError, match="custom has none that can be read; use gradcam"):
        METHODS["attention"].check(wrapped(Conv()))


def test_two_methods_of_one_name_are_a_mistake():
    class Again(Method):
        card = Card("gradcam", "arXiv", frozenset({"gradients"}), "any", False)

    with pytest.raises(ValueError, match="'gradcam' is registered twice"):
        method(Again)
