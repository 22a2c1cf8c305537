"""Options of a vision transformer that its weights tell need not be said."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from tests.models.kinds.kind import lively
from tests.models.nets import CLASSES
from xattn.models import load

ARCH = "vit_tiny_patch16_224"
BUILT: dict[str, dict[str, Any]] = {
    "average and a norm after it": {"global_pool": "avg"},
    "registers": {"reg_tokens": 4},
    "registers without places": {"reg_tokens": 4, "no_embed_class": True},
    "no class token": {"class_token": False, "global_pool": "avg"},
    "scaled layers": {"init_values": 1e-4},
    "no bias of queries": {"qkv_bias": False},
    "normalised queries": {"qk_norm": True},
    "a norm before": {"pre_norm": True},
    "wider perceptron": {"mlp_ratio": 2.0},
    "several at once": {"reg_tokens": 2, "global_pool": "avg", "init_values": 1e-4},
}


@pytest.mark.parametrize("what", BUILT)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_options_are_read_from_the_weights(what, prefix, tmp_path):
    torch.manual_seed(0)
    net = timm.create_model(ARCH, num_classes=2, depth=2, img_size=64, **BUILT[what])
    lively(net)
    state = {prefix + key: value for key, value in net.state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x), atol=1e-5, rtol=1e-5)
    assert any("read from its keys and shapes" in note for note in model.source["notes"])
    assert model.options["depth"] == 2


def test_an_architecture_as_it_is_published_needs_none(tmp_path):
    torch.save(timm.create_model(ARCH, num_classes=2).state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES)
    assert not model.options
    assert not any("keys and shapes" in note for note in model.source["notes"])
