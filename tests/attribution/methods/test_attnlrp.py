"""AttnLRP as a method: its maps, its options, what it says of conservation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, vit, with_statistics, wrapped
from xattn import attribute
from xattn.attribution.methods.attnlrp import AttnLrp
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.passes.relevance import Conservation
from xattn.errors import MethodError


def test_a_map_is_the_relevance_summed_over_colours_and_says_where_the_rest_is():
    model = wrapped(vit())
    x = torch.randn(2, 3, *SIZE)
    captured = capture(model, x, gradients=False)
    maps = AttnLrp().maps(model, captured)
    assert maps.shape == (2, *SIZE)
    assert not maps.requires_grad
    said = captured.conserved["attnlrp"]
    assert said.images == 2
    assert said.pixels == pytest.approx(float(maps.sum()), rel=1e-3, abs=1e-6)
    assert said.error < 1e-3
    AttnLrp().maps(model, captured)
    assert captured.conserved["attnlrp"].images == 4


def test_what_does_not_move_the_logit_has_no_relevance():
    """A network that reads the left half alone."""

    class Left(Conv):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[..., :24])

    maps = attribute(wrapped(with_statistics(Left()).eval()), torch.randn(2, 3, *SIZE), "attnlrp")
    assert (maps[..., 24:] == 0).all()
    assert (maps[..., :24] != 0).any()


def test_the_faster_copy_whose_batch_norms_are_folded_gives_the_same_maps():
    torch.manual_seed(0)
    net = nn.Sequential(
        *(
            part
            for i, (a, b) in enumerate([(3, 4), (4, 5), (5, 6), (6, 6)])
            for part in (nn.Conv2d(a, b, 3, 1 + i % 2, 1), nn.BatchNorm2d(b), nn.ReLU())
        ),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    )  # fmt: skip
    model = wrapped(with_statistics(net).eval())
    copied = make_fast_copy(model)
    assert copied is not model
    x = torch.randn(2, 3, *SIZE)
    first, second = (attribute(each, x, "attnlrp", 0) for each in (model, copied))
    torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-5 * float(first.abs().max()))


def test_gammas_are_options():
    model, x = wrapped(vit()), torch.randn(1, 3, *SIZE)
    plain = attribute(model, x, "attnlrp[gamma=0,conv_gamma=0]", 0)
    assert not torch.allclose(plain, attribute(model, x, "attnlrp", 0))
    with pytest.raises(MethodError, match=r"gammas of 0 or more, but got -1 and 0\.25"):
        attribute(model, x, "attnlrp[gamma=-1]")


def test_a_network_with_an_operation_without_a_rule_is_refused_by_name():
    class Exponential(Conv):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).exp()

    with pytest.raises(MethodError, match="'exp' has none; use"):
        AttnLrp().check(wrapped(Exponential().eval()))


def test_a_network_whose_relevance_does_not_add_up_is_refused():
    class Written(Conv):
        """Writes a constant into what it computed, which no rule sees."""

        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            logits[:, 0] = 5.0
            return logits + 0 * x.mean()

    with pytest.raises(MethodError, match=r"adds up to the logit .* is lost or too much"):
        AttnLrp().check(wrapped(Written().eval()))


def test_conservation_is_said_in_fractions_of_the_logit_unless_logits_cancel():
    said = Conservation(1.0, 2.5, 0.5, logits=4.0, size=4.0, gap=4e-7, images=3)
    assert said.in_words() == (
        "relevance as a fraction of the logit: 0.25 on the pixels, 0.62 on biases and other "
        "constants, 0.12 on the softmax; adds up to 1e-07 (3 maps)"
    )
    both = said + Conservation(-1.0, -2.5, -0.5, logits=-4.0, size=4.0, gap=0.0, images=3)
    assert both.in_words().startswith("relevance: 0 on the pixels")
