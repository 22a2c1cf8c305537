"""Thresholds of ordinal heads become probabilities of grades, never by a softmax."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import xattn
from tests.models.nets import SIZE, Conv, plain, with_statistics
from xattn.errors import CheckpointError
from xattn.models import Model, ensemble, wrap
from xattn.models.probing.ordinal import ORDINAL, log_probabilities

GRADES = ["none", "mild", "moderate", "severe"]
FALLING = torch.tensor([1.0, 0.2, -0.7])


class Thresholds(Conv):
    """A net of three thresholds that share one direction, as CORAL's do."""

    def __init__(self, bias: Tensor = FALLING, sign: float = 1.0) -> None:
        super().__init__()
        with_statistics(self)
        self.fc = nn.Linear(6, len(bias))
        with torch.no_grad():
            self.fc.weight.copy_(self.fc.weight[:1].repeat(len(bias), 1))
            self.fc.bias.copy_(bias)
        self.sign = sign
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.sign * super().forward(x)


def of(net: nn.Module, outputs: str = "ordinal", classes=GRADES) -> Model:
    return wrap(net, classes=classes, preprocessing=plain(), outputs=outputs)


def batch() -> Tensor:
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(5))


class TestProbabilities:
    def test_of_cumulative_thresholds_are_differences_of_sigmoids(self):
        model, x = of(Thresholds()), batch()
        above = model.module(x).double().sigmoid()
        ends = above.new_ones(3, 1), above.new_zeros(3, 1)
        wanted = -torch.cat([ends[0], above, ends[1]], 1).diff(dim=1)
        torch.testing.assert_close(model.probabilities(x), wanted, atol=1e-6, rtol=1e-5)

    def test_of_conditional_thresholds_are_products(self):
        model, x = of(Thresholds(), "corn"), batch()
        step = model.module(x).double().sigmoid()
        wanted = torch.cat([step.new_ones(3, 1), step.cumprod(1)], 1)
        wanted[:, :-1] *= 1 - step
        torch.testing.assert_close(model.probabilities(x), wanted, atol=1e-6, rtol=1e-5)

    @pytest.mark.parametrize("kind", ORDINAL)
    @pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
    def test_sum_to_one_and_stay_finite_with_their_gradients(self, kind, scale):
        draw = torch.Generator().manual_seed(0)
        z = (torch.randn(50, 4, generator=draw) * scale).requires_grad_()
        found = log_probabilities(z, kind)
        torch.testing.assert_close(found.exp().sum(1), torch.ones(50), atol=1e-5, rtol=0)
        assert found.isfinite().all()
        assert torch.autograd.grad(found.sum(), z)[0].isfinite().all()

    def test_keep_what_lies_beyond_a_threshold(self):
        z = torch.tensor([[3.0, 1.0, -2.0]])
        odds = log_probabilities(z, "ordinal").double()
        beyond = odds[:, 2:].logsumexp(1) - odds[:, :2].logsumexp(1)
        torch.testing.assert_close(beyond, z[:, 1].double(), atol=1e-5, rtol=0)

    def test_of_crossing_thresholds_leave_nothing_between_them(self):
        found = log_probabilities(torch.tensor([[-1.0, 2.0, -3.0]]), "ordinal").exp()
        assert found[0, 1] < 1e-6
        torch.testing.assert_close(found[0, 0], torch.tensor(1.0).sigmoid())


class TestModels:
    def test_explain_a_grade_by_the_gradient_of_its_log_probability(self):
        model, x = of(Thresholds()), batch()
        by_hand = wrap(
            nn.Sequential(Thresholds(), Log()), classes=GRADES, preprocessing=plain(),
            target_layer=f"0.{model.target_layer}",
        )  # fmt: skip
        by_hand.module[0].load_state_dict(model.module.state_dict())
        torch.testing.assert_close(
            xattn.attribute(model, x, method="gradcam", target=2),
            xattn.attribute(by_hand, x, method="gradcam", target=2),
        )

    def test_are_averaged_by_the_probabilities_of_grades(self):
        members = [of(Thresholds()), of(Thresholds(), "corn")]
        mean = sum(one.probabilities(batch()) for one in members) / 2
        torch.testing.assert_close(
            ensemble(members).probabilities(batch()), mean, atol=1e-6, rtol=1e-5
        )

    def test_say_that_their_thresholds_cross(self):
        model = of(Thresholds(torch.tensor([0.0, 1.0, 0.5])))
        said = model.outputs_in_words()
        assert "P(y > k) = sigmoid(z_k)" in said
        assert "cross for 5 of 5 probing inputs" in said
        assert "--outputs corn" in said


class Log(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return log_probabilities(z, "ordinal")


class TestRefused:
    def test_are_grades_as_many_as_thresholds(self):
        with pytest.raises(CheckpointError, match=r"Expected 4 ordered classes.*but got 3"):
            _ = of(Thresholds(), classes=GRADES[:3]).outputs

    def test_are_logits_that_rise(self):
        with pytest.raises(CheckpointError, match=r"rise for every probing input.*negate them"):
            _ = of(Thresholds(sign=-1.0)).outputs

    @pytest.mark.parametrize("kind", ORDINAL)
    def test_is_one_threshold(self, kind):
        with pytest.raises(CheckpointError, match="one logit of two classes"):
            _ = of(Thresholds(FALLING[:1]), kind, GRADES[:2]).outputs

    def test_are_probabilities(self):
        with pytest.raises(CheckpointError, match="without its last sigmoid"):
            _ = of(nn.Sequential(Thresholds(), nn.Sigmoid())).outputs
