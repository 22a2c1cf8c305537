"""A hybrid is its backbone, untouched, with blocks after chosen stages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xattn.models import build
from xattn.models.hybrids import insert_after_stages


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    plain = build("resnet18", 2).eval()
    hybrid = build("resnet18-ga", 2).eval()
    hybrid.load_state_dict(plain.state_dict(), strict=False)
    return plain, hybrid


def test_keys_of_the_plain_network_are_a_subset_and_the_others_are_the_blocks(pair):
    plain, hybrid = (set(net.state_dict()) for net in pair)
    assert plain < hybrid
    assert {key.split(".ga.")[0] for key in hybrid - plain} == {"layer3", "layer4"}
    assert all(".ga." in key for key in hybrid - plain)


def test_with_closed_gates_the_hybrid_is_the_plain_network(pair):
    plain, hybrid = pair
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(hybrid(x), plain(x), rtol=0, atol=0)


def test_with_an_open_gate_it_is_not(pair):
    plain, hybrid = pair
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        hybrid.layer4.ga.gate.fill_(1)
        assert (hybrid(x) - plain(x)).abs().max() > 1e-4
        hybrid.layer4.ga.gate.fill_(0)


@pytest.mark.parametrize("stages", [(1,), (2, 4), (1, 2, 3, 4), ()])
def test_blocks_stand_after_the_stages_asked_for_with_their_channels(stages):
    net = insert_after_stages(build("test_resnet", 2), "block", nn.BatchNorm2d, stages)
    assert [hasattr(net.get_submodule(f"layer{i}"), "block") for i in (1, 2, 3, 4)] == [
        i in stages for i in (1, 2, 3, 4)
    ]
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 2)
