from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.recipes import tiny_recipe
from xattn.errors import CheckpointError, UsageError
from xattn.models import build
from xattn.training.init_weights import build_network, start_from


def weights_of(path: Path, architecture: str, n_classes: int, prefix: str = "") -> Path:
    torch.manual_seed(5)
    state = build(architecture, n_classes).state_dict()
    torch.save({prefix + key: value for key, value in state.items()}, path)
    return path


def test_the_seed_decides_the_first_weights():
    states = [build_network(tiny_recipe(seed=s), 2)[0].state_dict() for s in (0, 0, 1)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["0.weight"], states[2]["0.weight"])


def test_an_unknown_architecture_suggests_near_names():
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        build_network(tiny_recipe(architecture="resnet_18"), 2)


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
def test_weights_are_taken_but_for_a_classifier_of_other_classes(tmp_path: Path, prefix: str):
    path = weights_of(tmp_path / "w.pt", "tiny", 7, prefix)
    given = torch.load(path)
    network, init, _ = build_network(tiny_recipe(init=str(path)), 2)

    state = network.state_dict()
    assert torch.equal(state["0.weight"], given[f"{prefix}0.weight"])
    assert state["6.weight"].shape == (2, 8)
    assert init is not None
    assert init["left"] == ["6.weight", "6.bias"]
    assert init["loaded"] == len(state) - 2
    assert init["file"] == "w.pt"
    assert network.training


def test_a_classifier_of_the_same_shape_is_taken_too(tmp_path: Path):
    path = weights_of(tmp_path / "w.pt", "tiny", 2)
    network, init, _ = build_network(tiny_recipe(init=str(path)), 2)
    assert torch.equal(network.state_dict()["6.weight"], torch.load(path)["6.weight"])
    assert init is not None
    assert init["left"] == []


def test_a_hybrid_starts_from_the_plain_backbone(tmp_path: Path):
    path = weights_of(tmp_path / "w.pt", "resnet18", 1000)
    hybrid = build("resnet18-ga", 2)
    init = start_from(hybrid, path, 2)
    assert torch.equal(hybrid.state_dict()["conv1.weight"], torch.load(path)["conv1.weight"])
    assert all(".ga." in key or key.startswith("fc.") for key in init["left"])
    assert init["left"]


def test_weights_under_the_names_of_older_code_are_taken(tmp_path: Path):
    """As `nn.Sequential(*model.children())` numbers the parts."""
    network = build("resnet18", 2)
    number = {name: i for i, (name, _) in enumerate(network.named_children())}
    state = {}
    for key, value in network.state_dict().items():
        first, _, rest = key.partition(".")
        state[f"{number[first]}.{rest}"] = value + 1
    torch.save(state, tmp_path / "w.pt")
    started = build("resnet18", 2)
    assert start_from(started, tmp_path / "w.pt", 2)["left"] == []
    assert torch.equal(started.conv1.weight, network.conv1.weight + 1)


def test_weights_of_another_architecture_are_refused_by_name(tmp_path: Path):
    path = weights_of(tmp_path / "w.pt", "resnet18", 2)
    with pytest.raises(CheckpointError, match=r"w\.pt, but they do not fit: .*unexpected \(conv1"):
        build_network(tiny_recipe(init=str(path)), 2)


def test_weights_of_another_width_are_refused_by_shape(tmp_path: Path):
    torch.save(build("tiny", 2, width=6).state_dict(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"0\.weight: \(6, 3, 3, 3\) instead of \(8"):
        build_network(tiny_recipe(init=str(tmp_path / "w.pt")), 2)


def test_weights_that_are_not_there_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"absent\.pt"):
        build_network(tiny_recipe(init=str(tmp_path / "absent.pt")), 2)
