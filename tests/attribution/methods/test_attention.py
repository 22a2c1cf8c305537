"""Attention and rollout of one layer or one head."""

from __future__ import annotations

import pytest
import torch

from tests.attribution.planted import generate, save
from tests.models.nets import Conv, swin, vit, wrapped
from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.capture import capture
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.plan import make_plan
from xattn.errors import MethodError
from xattn.models.attention import attention_map


def net(**options):
    return wrapped(vit(depth=3, **options))


def made(model, name, x):
    plan = make_plan(model, [name], ["predicted"], {})
    return attribute_each(model, x, plan.jobs, [None])[1]


@pytest.mark.parametrize("model", [net(), wrapped(swin(), (32, 32))], ids=["vit", "swin"])
def test_a_chosen_layer_and_head_are_shown(model):
    x = torch.randn(2, 3, *model.preprocessing.size)
    layer = model.attention_layers[1]
    weights = capture(model, x, attention=model.attention_layers).attention[layer]
    by_head = attention_map(layer, weights, by_head=True)
    for name in (f"attention[layer={layer.name},head=1]", "attention[head=1,layer=1]"):
        (found,) = made(model, name, x).values()
        torch.testing.assert_close(found, by_head[:, 1])
    (found,) = made(model, "attention[layer=1]", x).values()
    torch.testing.assert_close(found, by_head.mean(1))


def test_all_layers_and_heads_are_written_out_under_names_that_tell_them():
    model = net()
    x = torch.randn(1, 3, *model.preprocessing.size)
    found = made(model, "attention[layer=all,head=all]", x)
    expected = [f"attention[layer={i},head={j}]" for i in range(3) for j in range(2)]
    assert list(found) == expected
    plan = make_plan(model, ["attention[head=all]@benign"], ["predicted"], {})
    assert list(plan.jobs) == ["attention[head=0]@benign", "attention[head=1]@benign"]
    last = made(model, "attention", x)["attention"]
    torch.testing.assert_close((found[expected[-1]] + found[expected[-2]]) / 2, last)


def test_rollout_goes_through_one_head_or_the_last_layers_alone():
    model = net()
    x = torch.randn(2, 3, *model.preprocessing.size)
    layers = model.attention_layers
    weights = capture(model, x, attention=layers).attention
    matrices = [(weights[layer].dense()[:, 1] + torch.eye(weights[layer].positions)) / 2
                for layer in layers]  # fmt: skip
    grid = layers[0].grid
    (found,) = made(model, "rollout[head=1]", x).values()
    product = matrices[2] @ matrices[1] @ matrices[0]
    torch.testing.assert_close(found, product[:, 0, 1:].reshape(-1, *grid))
    (found,) = made(model, "rollout[layer=1,head=1]", x).values()
    torch.testing.assert_close(found, (matrices[2] @ matrices[1])[:, 0, 1:].reshape(-1, *grid))


def test_a_run_of_these_is_the_same_plan_again():
    model = net()
    plan = make_plan(model, ["gradcam", "attention[layer=0]"], ["predicted", "benign"], {})
    assert list(plan.jobs) == ["gradcam", "attention[layer=0]", "gradcam@benign"]
    again = make_plan(model, list(plan.jobs), ["predicted", "benign"], {})
    assert again.jobs == plan.jobs


def test_a_run_folder_holds_them_by_their_names(tmp_path):
    save(generate(2, seed=0), tmp_path / "images")
    names = ["attention[layer=all]", "rollout[head=0]"]
    run = explain(net(), tmp_path / "images", methods=names, out=tmp_path / "run")
    stored = [*(f"attention[layer={i}]" for i in range(3)), "rollout[head=0]"]
    assert run.methods == stored
    for name in stored:
        assert run.maps(name).shape == (2, 4, 6)
        assert len(list((run.path / "overlays" / name).iterdir())) == 2
        assert (run.predictions[f"degenerate_{name}"] == "").all()


def test_a_model_without_attention_leaves_it_out():
    with pytest.raises(MethodError, match="needs attention layers"):
        make_plan(wrapped(Conv()), ["attention[layer=all,head=all]"], ["predicted"], {})
    with pytest.raises(MethodError, match="needs attention layers"):
        make_plan(wrapped(Conv()), ["attention[layer=2]"], ["predicted"], {})
