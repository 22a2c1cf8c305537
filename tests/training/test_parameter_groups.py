"""Learning rates of weights that were loaded: lower, later, or the same as of all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from timm.optim import param_groups_layer_decay, param_groups_weight_decay

from tests.training.fitted import B, M, run, weights_of
from tests.training.recipes import tiny_recipe
from xattn.errors import UsageError, XattnError
from xattn.models import build
from xattn.training.parameter_groups import parameter_groups


def rates(groups, network) -> dict[str, float]:
    names = {id(p): name for name, p in network.named_parameters()}
    return {names[id(p)]: group["lr"] for group in groups for p in group["params"]}


def settings(**changes):
    return tiny_recipe(init="w.pt", **changes).train


def test_without_a_wish_the_groups_are_timms():
    network = build("resnet18", 2)
    own = parameter_groups(network, settings(), {"conv1.weight"})
    theirs = param_groups_weight_decay(network, 0.05, True, ())
    assert [[id(p) for p in g["params"]] for g in own] == [
        [id(p) for p in g["params"]] for g in theirs
    ]


@pytest.mark.parametrize("name", ["resnet18", "resnet18-ga", "vit_tiny_patch16_224"])
def test_every_parameter_is_in_one_group(name):
    network = build(name, 2)
    loaded = {key for key, _ in network.named_parameters() if "head" not in key and "ga" not in key}
    changes = {"backbone_lr": 0.3, "layer_decay": 0.7}
    groups = parameter_groups(network, settings(**changes), loaded)
    members = [id(p) for group in groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in network.parameters())
    plain = parameter_groups(network, settings())
    decays = {id(p): g["weight_decay"] for g in plain for p in g["params"]}
    assert all(decays[id(p)] == g["weight_decay"] for g in groups for p in g["params"])


def test_new_layers_have_the_whole_rate_and_loaded_ones_a_fraction():
    network = build("resnet18-ga", 2)
    new = [name for name, _ in network.named_parameters() if ".ga." in name or name[:2] == "fc"]
    loaded = {name for name, _ in network.named_parameters()} - set(new)
    found = rates(parameter_groups(network, settings(backbone_lr=0.1), loaded), network)
    expected = dict.fromkeys(new, 0.01) | dict.fromkeys(loaded, 0.001)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_layer_decay_is_timms_where_all_is_loaded(name):
    network = build(name, 2)
    every = {key for key, _ in network.named_parameters()}
    found = rates(parameter_groups(network, settings(layer_decay=0.75), every), network)
    theirs = param_groups_layer_decay(network, layer_decay=0.75)
    names = {id(p): key for key, p in network.named_parameters()}
    expected = {names[id(p)]: 0.01 * g["lr_scale"] for g in theirs for p in g["params"]}
    assert found == pytest.approx(expected)


def test_layers_that_nobody_counts_are_refused_with_the_way_out():
    network = torchvision.models.resnet18(num_classes=2)
    with pytest.raises(UsageError, match="take backbone_lr"):
        parameter_groups(network, settings(layer_decay=0.75), {"conv1.weight"})


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    torch.save(build("tiny", 7).state_dict(), tmp_path / "w.pt")
    return tmp_path / "w.pt"


def test_frozen_weights_stay_for_their_epochs_and_train_after(study, begun, tmp_path):
    given = torch.load(begun)
    changes = {"init": str(begun), "freeze_epochs": 1, "keep_every": 1, "epochs": 2}
    run(study([B, M] * 20), tmp_path / "out", recipe=tiny_recipe(**changes), epochs=2)
    first, second = (weights_of(tmp_path / f"out/checkpoints/epoch_000{i}.pt") for i in (1, 2))
    assert torch.equal(first["0.weight"], given["0.weight"])
    assert torch.equal(first["1.weight"], given["1.weight"])
    assert first["6.weight"].abs().max() > 0.005  # the new layer trained alone
    assert not torch.equal(second["0.weight"], given["0.weight"])


def test_a_fraction_of_the_rate_moves_loaded_weights_less(study, begun, tmp_path):
    given = torch.load(begun)["0.weight"]
    annotations, moved = study([B, M] * 20), []
    for i, fraction in enumerate((1.0, 0.01)):
        recipe = tiny_recipe(init=str(begun), backbone_lr=fraction, epochs=1)
        result = run(annotations, tmp_path / f"out{i}", recipe=recipe, epochs=1)
        moved.append((weights_of(result.checkpoint)["0.weight"] - given).abs().mean().item())
    assert moved[1] < 0.1 * moved[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_lr": 0.1}, "expected init, the weights to start from, with backbone_lr"),
        ({"freeze_epochs": 1}, "with freeze_epochs"),
        ({"init": "w.pt", "freeze_epochs": 2}, r"fewer freeze_epochs than epochs \(2\), but got 2"),
        ({"init": "w.pt", "layer_decay": 0.0}, "layer_decay"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(XattnError, match=message):
        tiny_recipe(**changes)
