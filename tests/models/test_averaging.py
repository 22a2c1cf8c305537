"""Several models averaged: predictions are the mean's, and so are maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import xattn
from tests.models.nets import CLASSES, Conv, plain, vit, with_statistics
from xattn.errors import MethodError, UsageError
from xattn.images import Preprocessing
from xattn.models import Model, wrap
from xattn.models.averaging import combined
from xattn.models.probing.outputs import Outputs


def member(seed: int, width: int = 2, **options) -> Model:
    torch.manual_seed(seed)
    net = with_statistics(Conv())
    net.fc = nn.Linear(6, width)
    nn.init.normal_(net.fc.weight, std=2.0)
    options = {"classes": CLASSES, "preprocessing": plain(), **options}
    return wrap(net.double().eval(), **options)


def inputs(n: int = 3, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 32, 48, generator=draw, dtype=torch.float64)


class TestPredictions:
    def test_are_the_mean_of_the_probabilities_by_default(self):
        members, x = [member(1), member(2), member(3)], inputs()
        both = xattn.ensemble(members)
        expected = torch.stack([m.probabilities(x) for m in members]).mean(0)
        torch.testing.assert_close(both.probabilities(x), expected)
        assert "the mean of their probabilities" in both.outputs_in_words()

    def test_are_of_the_mean_of_the_logits_if_asked_for(self):
        members, x = [member(1), member(2)], inputs()
        both = xattn.ensemble(members, average="logits")
        torch.testing.assert_close(
            both.logits(x), (members[0].logits(x) + members[1].logits(x)) / 2
        )

    def test_of_independent_outputs_are_averaged_each(self):
        names = ["mass", "effusion", "edema"]
        members = [member(s, 3, classes=names, outputs="sigmoid") for s in (1, 2)]
        x, both = inputs(), xattn.ensemble(members)
        expected = torch.stack([m.probabilities(x) for m in members]).mean(0)
        torch.testing.assert_close(both.probabilities(x), expected)
        assert not both.outputs.exclusive

    def test_of_one_logit_are_those_of_its_two_classes(self):
        members, x = [member(s, 1) for s in (1, 2)], inputs()
        for average in ("probabilities", "logits"):
            both = xattn.ensemble(members, average=average)
            maps = [xattn.attribute(both, x, "hirescam", target) for target in CLASSES]
            torch.testing.assert_close(maps[0].sign(), -maps[1].sign())
        torch.testing.assert_close(
            both.logits(x)[:, 1], (members[0].logits(x) + members[1].logits(x))[:, 1] / 2
        )

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(st.lists(st.floats(-200, 200), min_size=3, max_size=3), min_size=2, max_size=4),
        st.booleans(),
    )
    def test_have_a_gradient_however_certain_the_members_are(self, logits, exclusive):
        z = torch.tensor(logits, dtype=torch.float64)[:, None].requires_grad_()
        kind = Outputs("softmax" if exclusive else "sigmoid", exclusive, 3)
        found = combined(z, "probabilities", kind)
        p = (z.softmax(2) if exclusive else z.sigmoid()).mean(0)
        again = found.softmax(1) if exclusive else found.sigmoid()
        torch.testing.assert_close(again, p, atol=1e-9, rtol=1e-6)
        (gradient,) = torch.autograd.grad(found.sum(), z)
        assert gradient.isfinite().all()

    def test_of_members_normalised_otherwise_are_those_of_each(self):
        other = Preprocessing(size=(32, 48), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
        members = [member(1), member(2, preprocessing=other)]
        pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        both = xattn.ensemble(members)
        expected = [m.probabilities(m.preprocess(pixels)[None]) for m in members]
        torch.testing.assert_close(
            both.probabilities(both.preprocess(pixels)[None]), sum(expected) / 2
        )


class TestMaps:
    @pytest.mark.parametrize("method", ["gradcam", "hirescam", "saliency", "attention", "scorecam"])
    def test_of_a_model_with_itself_are_its_own(self, method):
        torch.manual_seed(0)
        net = with_statistics(vit() if method == "attention" else Conv()).double().eval()
        one = wrap(net, classes=CLASSES, preprocessing=plain())
        for average in ("probabilities", "logits"):
            twice = xattn.ensemble([one, one], average=average)
            x = inputs()
            ours, theirs = (xattn.attribute(m, x, method, "malignant") for m in (twice, one))
            if average == "probabilities" and method not in ("attention", "scorecam"):
                # Its logit is log p, whose gradient is that of the logit less the mean of both.
                assert ours.shape == theirs.shape
                continue
            torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-6)

    def test_sum_over_the_layers_of_all_members_where_these_are_alike(self):
        """HiResCAM keeps the gradient's sum, so the map of the average is made by hand."""
        members, x = [member(1), member(2)], inputs(2)
        both = xattn.ensemble(members)
        assert both.alike
        found = xattn.attribute(both, x, "hirescam", 1)
        activations, z = [], []
        for one in members:
            kept = []
            layer = one.module.get_submodule(one.target_layer)
            hook = layer.register_forward_hook(lambda *a, k=kept: k.append(a[2].clone()) or k[-1])
            z.append(one.module(x.clone()))
            hook.remove()
            activations += kept
        score = torch.stack([v.softmax(1) for v in z]).mean(0).log()[:, 1].sum()
        gradients = torch.autograd.grad(score, activations)
        by_hand = sum((g * a).sum(1) for g, a in zip(gradients, activations, strict=True))
        torch.testing.assert_close(found, by_hand.detach())

    def test_of_unlike_members_are_the_mean_of_theirs_at_the_pixels_of_the_input(self):
        torch.manual_seed(1)
        tokens = wrap(vit().double().eval(), classes=CLASSES, preprocessing=plain())
        members, x = [member(1), tokens], inputs(2)
        both = xattn.ensemble(members)
        assert not both.alike
        found = xattn.attribute(both, x, "gradcam", 1)
        of_each = [xattn.attribute(m, x, "gradcam", 1, upsample=True) for m in members]
        torch.testing.assert_close(found, sum(of_each) / 2, atol=1e-6, rtol=1e-5)
        with pytest.raises(MethodError, match="needs attention layers"):
            xattn.attribute(both, x, "attention")

    def test_explain_the_class_that_the_average_predicts(self):
        members, x = [member(1), member(2)], inputs(8)
        for one, shift in zip(members, (20.0, -20.0), strict=True):  # they never agree
            one.module.fc.bias.data = torch.tensor([0.0, shift], dtype=torch.float64)
        both = xattn.ensemble(members)
        predicted = both.logits(x).argmax(1)
        assert any((m.logits(x).argmax(1) != predicted).any() for m in members)
        for method in ("gradcam", "scorecam"):
            ours = xattn.attribute(both, x, method)
            torch.testing.assert_close(ours, xattn.attribute(both, x, method, predicted))


class TestWhatDoesNotGoTogether:
    @pytest.mark.parametrize(
        ("other", "says"),
        [
            ({"classes": ["malignant", "benign"]}, "the same classes.*in another order: save one"),
            ({"preprocessing": plain((32, 32))}, "the same input size, but got 32 x 48 of"),
            ({"outputs": "sigmoid"}, "the same kind of outputs, but got classes that exclude"),
        ],
    )
    def test_is_one_line(self, other, says):
        with pytest.raises(UsageError, match=says):
            xattn.ensemble([member(1), member(2, **other)])

    def test_is_one_model_alone_or_an_unknown_average(self):
        with pytest.raises(UsageError, match="Expected two models or more"):
            xattn.ensemble([member(1)])
        with pytest.raises(UsageError, match="Unknown average 'mean'"):
            xattn.ensemble([member(1), member(2)], average="mean")
