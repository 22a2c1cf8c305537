"""Options of a method as they are typed: read into fields, written as names, mistakes named."""

from __future__ import annotations

import pytest

from tests.models.nets import vit, wrapped
from xattn.attribution.methods.attention import Attention
from xattn.attribution.options import split_options
from xattn.attribution.registry import METHODS, Needs, method
from xattn.attribution.run.plan import make_plan
from xattn.errors import UsageError


def test_options_are_fields_of_a_method():
    chosen = method("attention[head=1,layer=3]")
    assert chosen == Attention(layer=3, head=1) == Attention(layer="3", head=1)
    assert chosen.name == "attention[layer=3,head=1]"
    assert method(chosen.name) == chosen
    assert METHODS["attention"].needs == Needs.ATTENTION
    assert chosen.needs == Needs.ALL_ATTENTION


def test_names_without_options_stay_as_they_are():
    assert split_options("pytorch-grad-cam/fem") == ("pytorch-grad-cam/fem", [])
    assert method("attention") is METHODS["attention"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("attention[layer=9]", r"Unknown attention layer '9'.*by index 0 to 2"),
        ("attention[layer=blocks.0.atn]", "did you mean"),
        ("attention[head=2]", "Expected a head from 0 to 1 of 'blocks.2.attn', but got 2"),
        ("attention[block=2]", "Unknown option 'block'"),
        ("attention[layer]", "Expected layer=VALUE once"),
        ("attention[head=1,head=2]", "Expected head=VALUE once .* but got head=1, head=2"),
        ("attention[head=one]", "Expected a whole number or 'all' as head .* but got 'one'"),
        ("attention[head=-1]", "Expected a head from 0 to 1 .* but got -1"),
        ("attention[]", "Unknown option ''"),
        ("attention[layer=1", "Unknown method"),
        ("gradcam[layer=1]", "Unknown option .layer."),
        ("saliency[layer=1]", "takes no options"),
        ("atention[layer=1]", "Unknown method 'atention'"),
    ],
)
def test_mistakes_are_named(name, message):
    with pytest.raises(UsageError, match=message):
        make_plan(wrapped(vit(depth=3)), [name], ["predicted"], {})
