"""Relevance: the paper's rules, what is conserved, and that nothing gets round the rules."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attribution.passes.relevance.lrp_twin import relevance_of_vit
from tests.models.nets import (
    SIZE,
    Conv,
    Tokens,
    swin,
    torchvision_vit,
    vit,
    with_statistics,
    wrapped,
)
from xattn.attribution.passes.relevance import Propagated, propagate_relevance
from xattn.errors import MethodError
from xattn.models import Model, build
from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.architectures.local_attention import EmbeddedLocalAttention, LocalAttention


def propagated(
    model: Model, x: Tensor, target: int = 0, dense: float = 0.05, convolution: float = 0.25
) -> Propagated:
    targets = torch.full((len(x),), target)
    return propagate_relevance(model, x, targets, dense=dense, convolution=convolution)


def seen(net: nn.Module) -> nn.Module:
    """Open the gates of a net's blocks and give its biases a size that matters."""
    torch.manual_seed(1)
    for name, parameter in net.named_parameters():
        if name.endswith("gate"):
            nn.init.constant_(parameter, 0.7)
        elif name.endswith(("bias", "bias_table")) or "embed" in name or "token" in name:
            nn.init.normal_(parameter, 0, 0.3)
    return with_statistics(net).eval()


class Attending(Conv):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.bn2(self.conv2(self.conv1(x)))).mean((2, 3)))


class Of(nn.Module):
    """Two logits of what a function makes of a small map."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.fc, self.function = nn.Conv2d(3, 4, 8, 8), nn.Linear(4, 2), function

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.function(self.conv(x)).mean((2, 3)))


NETS = {
    "conv": lambda: wrapped(seen(Conv())),
    "torch": lambda: wrapped(seen(Tokens())),
    "timm vit": lambda: wrapped(seen(vit(reg_tokens=2, init_values=0.1, qk_norm=True))),
    "torchvision vit": lambda: wrapped(seen(torchvision_vit()), (32, 32)),
    "swin": lambda: wrapped(seen(swin()), (32, 32)),
    "ga": lambda: wrapped(seen(Attending(GlobalAttention(6, 2, position="relative")))),
    "la": lambda: wrapped(seen(Attending(LocalAttention(6, 2, 5)))),
    "ela": lambda: wrapped(seen(Attending(EmbeddedLocalAttention(6, 2, 3, 2)))),
    "one logit": lambda: wrapped(seen(nn.Sequential(Conv(), nn.Linear(2, 1)))),
}


@pytest.mark.parametrize(("dense", "convolution"), [(0.0, 0.0), (0.05, 0.25), (1.0, 0.1)])
def test_equals_the_rules_of_the_paper_written_out_contribution_by_contribution(dense, convolution):
    net = seen(vit()).double()
    x = torch.randn(2, 3, *SIZE).double()
    found = propagated(wrapped(net), x, 1, dense, convolution).relevance
    for image, relevance in zip(x, found, strict=True):
        expected = relevance_of_vit(net, image, 1, dense, convolution)
        torch.testing.assert_close(relevance, expected, rtol=1e-5, atol=1e-8)


def test_equals_zennits_gamma_rule_on_a_convolutional_net():
    pytest.importorskip("zennit", reason="zennit, the extra lrp, is not installed")
    from torch.fx.experimental.optimization import fuse
    from zennit.composites import LayerMapComposite
    from zennit.rules import Gamma, Pass

    net = seen(nn.Sequential(
        nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, 2, 1),
        nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 24, 2),
    )).double()  # fmt: skip
    rules = [
        (nn.Conv2d, Gamma(0.25, stabilizer=1e-9)),
        (nn.Linear, Gamma(0.05, stabilizer=1e-9)),
        (nn.ReLU, Pass()),
    ]
    x = torch.randn(2, 3, *SIZE).double()
    with LayerMapComposite(rules).context(fuse(net)) as prepared:
        inputs = x.clone().requires_grad_(True)
        logits = prepared(inputs)
        start = torch.zeros_like(logits)
        start[:, 0] = logits[:, 0].detach()
        (expected,) = torch.autograd.grad(logits, inputs, start)
    found = propagated(wrapped(net), x).relevance
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NETS)
class TestEveryKindOfNetwork:
    def test_relevance_and_what_constants_and_softmax_keep_are_the_logit(self, name):
        model = NETS[name]()
        x = torch.randn(2, 3, *model.preprocessing.size)
        for gammas in ((0.05, 0.25), (0.0, 0.0)):
            found = propagated(model, x, 1, *gammas)
            with torch.no_grad():
                torch.testing.assert_close(found.logits, model.network(x)[:, 1])
            said = found.conservation
            assert said.gap <= 1e-4 * (said.size + abs(said.pixels) + abs(said.constants))
            assert said.logits == pytest.approx(float(found.logits.sum()))
            assert said.pixels == pytest.approx(float(found.relevance.sum()), rel=1e-3, abs=1e-5)
            assert said.pixels != 0

    def test_an_image_has_the_relevance_that_it_has_alone(self, name):
        model = NETS[name]()
        x = torch.randn(3, 3, *model.preprocessing.size)
        together, alone = propagated(model, x).relevance, propagated(model, x[1:2]).relevance
        torch.testing.assert_close(together[1:2], alone, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vit_tiny_patch16_224", 224),
        ("deit_tiny_patch16_224", 224),
        ("deit_tiny_distilled_patch16_224", 224),
        ("swin_tiny_patch4_window7_224", 224),
        *((f"{net}-{kind}", 96) for net in ("resnet18", "efficientnet_b0")
          for kind in ("ga", "la", "ela")),
    ],
)  # fmt: skip
def test_the_study_s_networks_conserve_relevance_to_a_thousandth_of_the_logit(name, size):
    torch.manual_seed(0)
    model = wrapped(seen(build(name, 2)), (size, size))
    said = propagated(model, torch.randn(1, 3, size, size)).conservation
    assert said.error < 1e-3


def test_local_attention_whose_window_holds_the_map_is_global_attention():
    torch.manual_seed(0)
    whole = seen(Attending(GlobalAttention(6, 2)))
    windows = Attending(LocalAttention(6, 2, 25, position="none")).eval()
    windows.load_state_dict(whole.state_dict())
    x = torch.randn(2, 3, *SIZE)
    first, second = (propagated(wrapped(net), x) for net in (whole, windows))
    torch.testing.assert_close(second.relevance, first.relevance, rtol=1e-3, atol=1e-6)
    assert second.conservation.softmax == pytest.approx(first.conservation.softmax, rel=1e-3)


def test_a_gate_of_a_sigmoid_gets_nothing_and_its_signal_all():
    gated = Of(lambda x: x * torch.sigmoid(3 * x.mean((2, 3), keepdim=True)))
    x = torch.randn(2, 3, *SIZE)
    scale = torch.sigmoid(3 * gated.conv(x).mean((2, 3), keepdim=True)).detach()
    plain = Of(lambda x: x * scale)
    first, second = (propagated(wrapped(net), x).relevance for net in (gated, plain))
    torch.testing.assert_close(first, second)


def test_a_product_of_two_signals_goes_half_to_each():
    """So x times x has the relevance of x times a constant of the same value."""
    x = torch.randn(1, 3, *SIZE)
    square = Of(lambda x: x * x)
    value = square.conv(x).detach()
    first, second = (
        propagated(wrapped(net), x).relevance for net in (square, Of(lambda x: x * value))
    )
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    "function",
    [F.gelu, F.silu, F.hardswish, torch.tanh, F.elu, lambda x: F.leaky_relu(x, 0.2), F.relu6],
)
def test_activations_pass_relevance_on_by_value(function):
    x = torch.randn(1, 3, *SIZE)
    net = Of(function)
    before = net.conv(x).detach()
    quotient = function(before) / before
    found, expected = (
        propagated(wrapped(each), x).relevance for each in (net, Of(lambda x: x * quotient))
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_operations_in_place_are_what_they_are_out_of_place():
    def in_place(x: Tensor) -> Tensor:
        x = x.clone()
        x += 1
        x *= 2
        F.relu(x, inplace=True)
        return F.silu(x, inplace=True)

    x = torch.randn(1, 3, *SIZE)
    found, expected = (
        propagated(wrapped(Of(each)), x)
        for each in (in_place, lambda x: F.silu(F.relu((x + 1) * 2)))
    )
    torch.testing.assert_close(found.relevance, expected.relevance)
    assert found.conservation.constants == pytest.approx(expected.conservation.constants)


def test_what_is_added_keeps_its_part():
    """2 x + 3, of which 3 is kept: with a layer without a bias that is all that is."""
    net = Of(lambda x: 2 * x + 3)
    nn.init.zeros_(net.conv.bias)
    nn.init.zeros_(net.fc.bias)
    x = torch.randn(1, 3, *SIZE)
    kept = propagated(wrapped(net), x, dense=0.0, convolution=0.0).conservation.constants
    assert kept == pytest.approx(3 * net.fc.weight[0].sum().item(), rel=1e-5)


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (torch.exp, "'exp' has none"),
        (lambda x: torch.log(x.abs() + 1), "'log' has none"),
        (Double.apply, "'Double' has none"),
        (torch.sigmoid, "sigmoids as gates alone"),
        (lambda x: (x - 1).clamp(min=0.5), "0 at 0"),
        (nn.BatchNorm2d(4, track_running_stats=False), "statistics of their own"),
    ],
)
def test_what_has_no_rule_is_named(function, named):
    with pytest.raises(MethodError, match=named):
        propagated(wrapped(Of(function)), torch.randn(1, 3, *SIZE))


def test_logits_that_nothing_reaches_are_named():
    class Cut(Conv):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).detach()

    model = wrapped(Conv().eval())
    model.module = Cut().eval()
    _ = model.outputs
    with pytest.raises(MethodError, match="logits that depend on the image"):
        propagated(model, torch.randn(1, 3, *SIZE))
