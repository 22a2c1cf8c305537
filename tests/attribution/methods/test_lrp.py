"""Layer-wise relevance propagation: what goes in comes out, and the way out without zennit."""

from __future__ import annotations

import sys

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from tests.models.nets import Conv, Tokens, vit, with_statistics, wrapped
from xattn.attribution.methods.lrp import LayerwiseRelevance, propagate
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.model_state import preserved
from xattn.errors import MethodError
from xattn.models import Model

pytest.importorskip("zennit", reason="zennit, the extra lrp, is not installed")

NETS = {
    "conv": Conv,
    "timm resnet": lambda: timm.create_model("test_resnet", num_classes=2),
    "torchvision resnet": lambda: torchvision.models.resnet18(num_classes=2),
    "bottlenecks": lambda: timm.create_model("resnet26", num_classes=2),
    "vgg": lambda: torchvision.models.vgg11_bn(num_classes=2),
}


def model_of(name: str) -> Model:
    torch.manual_seed(0)
    return wrapped(with_statistics(NETS[name]()).eval(), (64, 64))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_all_of_the_logit_is_handed_back_if_biases_keep_nothing(name):
    model = model_of(name)
    LayerwiseRelevance().check(model)
    x, targets = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    with preserved(model.module):
        relevance, logits = propagate(model, x, targets, biases=False)
    torch.testing.assert_close(
        relevance.sum((1, 2, 3)), logits, rtol=1e-2, atol=1e-3 * float(logits.abs().max())
    )
    with torch.no_grad():
        plain = model.module(x).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(logits, plain, rtol=1e-3, atol=1e-4)


def test_pooling_hands_back_by_value_whether_it_is_a_module_or_a_function():
    """Handed back as a gradient, relevance would be spread evenly and still add up."""

    class Pooled(nn.Module):
        def __init__(self, how: str) -> None:
            super().__init__()
            self.cells, self.fc = nn.Conv2d(3, 2, 8, 8, bias=False), nn.Linear(2, 2, bias=False)
            self.pool, self.how = nn.AdaptiveAvgPool2d(1), how
            nn.init.constant_(self.cells.weight, 0.01)

        def forward(self, x: Tensor) -> Tensor:
            x = self.cells(x)
            if self.how == "method":
                x = x.mean((2, 3))
            elif self.how == "function":
                x = F.adaptive_avg_pool2d(x, 1).flatten(1)
            else:
                x = torch.flatten(self.pool(x), 1)
            return self.fc(x)

    x = torch.zeros(1, 3, 32, 48)
    x[:, :, 8:16, 24:32] = 1
    found = []
    for how in ("module", "method", "function"):
        torch.manual_seed(0)
        model = wrapped(Pooled(how))
        LayerwiseRelevance().check(model)
        captured = capture(model, x, torch.tensor([0]), gradients=False)
        found.append(LayerwiseRelevance().maps(model, captured)[0])
        inside = found[-1][8:16, 24:32].sum()
        torch.testing.assert_close(inside, captured.logits[0, 0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0])


@pytest.mark.parametrize(
    "net", [vit, Tokens, lambda: timm.create_model("test_efficientnet", num_classes=2)]
)
def test_networks_with_operations_without_a_rule_are_refused(net):
    with pytest.raises(MethodError, match="use integrated-gradients"):
        LayerwiseRelevance().check(wrapped(net().eval()))


def test_without_zennit_the_way_out_is_named(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "zennit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zennit", None)
    with pytest.raises(MethodError, match=r"needs the package zennit.*pip install 'xattn\[lrp\]'"):
        LayerwiseRelevance().check(wrapped(Conv().eval()))


def test_what_speaks_against_a_class_has_negative_relevance():
    net = nn.Sequential(nn.Conv2d(3, 2, 8, 8, bias=False), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(2 * 24, 2, bias=False))
    nn.init.constant_(net[0].weight, 0.01)
    nn.init.constant_(net[3].weight, -1.0)
    model = wrapped(net)
    captured = capture(model, torch.rand(1, 3, 32, 48), gradients=False)
    assert (captured.logits < 0).all()
    assert (LayerwiseRelevance().maps(model, captured) <= 0).all()
