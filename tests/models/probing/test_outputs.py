"""What a network's outputs are, and the logits that are made of them."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, plain, with_statistics, wrapped
from xattn.attribution.passes.capture import capture
from xattn.errors import CheckpointError, MethodError, UsageError
from xattn.models import Model, wrap

THREE = ["effusion", "nodule", "mass"]
Pair = namedtuple("Pair", ["logits", "aux"])


ENDS = {
    "softmax": lambda y: y.softmax(1),
    "module": nn.Softmax(dim=1),
    "mean of two": lambda y: (y.softmax(1) + (2 * y).softmax(1)) / 2,
    "in hand": lambda y: y.exp() / y.exp().sum(1, keepdim=True),
    "p and 1 - p": lambda y: torch.stack([1 - y[:, 0].sigmoid(), y[:, 0].sigmoid()], 1),
}
"""Ways to end in probabilities of classes."""
SMALL = {
    "the last layer": lambda y: y,
    "mean of two heads": lambda y: (y + 2 * y) / 2,
    "mean of a stack": lambda y: torch.stack([y, y / 3]).mean(0),
    "temperature and shift": lambda y: (y - 0.01) * 1.7,
    "one head less another": lambda y: 2 * y - y,
    "not linear": lambda y: y + 0.1 * y.tanh(),
}
"""Ways to end in logits, which lie in [0, 1] where the weights are small."""
GIVEN = {
    "dict": lambda y: {"features": y.new_zeros(len(y), 7), "logits": y},
    "dict of another name": lambda y: {"out": y, "features": y.new_zeros(len(y), 7)},
    "ordered dict": lambda y: OrderedDict(logits=y, aux=y * 2),
    "named tuple": lambda y: Pair(y, y * 2),
    "object": lambda y: SimpleNamespace(logits=y, hidden=None),
    "tuple": lambda y: (y.new_zeros(len(y), 7), y),
    "list of one": lambda y: [y],
}
"""Containers in which only one tensor can be the logits."""


class Ending(Conv):
    """A net whose last logits go through a function, or are given in a container."""

    def __init__(self, end, outputs: int = 2, scale: float = 3.0) -> None:
        super().__init__()
        with_statistics(self)
        self.fc = nn.Linear(6, outputs)
        with torch.no_grad():
            self.fc.weight.mul_(scale)
        self.end = end
        self.eval()

    def forward(self, x: Tensor):
        return self.end(super().forward(x))

    def bare(self, x: Tensor) -> Tensor:
        return super().forward(x)


def of(end, n: int = 2, **options) -> Model:
    names = {1: ["benign", "malignant"], 2: ["benign", "malignant"], 3: THREE}[n]
    return wrap(Ending(end, n), classes=names, preprocessing=plain(), **options)


def batch(n: int = 3) -> Tensor:
    return torch.rand(n, 3, *SIZE, generator=torch.Generator().manual_seed(5))


class TestOneLogit:
    @pytest.mark.parametrize(
        "end",
        [lambda z: z, lambda z: z[:, 0], lambda z: z.squeeze(), lambda z: z[:, :, None, None]],
        ids=["n x 1", "n", "squeezed", "n x 1 x 1 x 1"],
    )
    @pytest.mark.parametrize("n", [1, 3])
    def test_is_zero_and_itself(self, end, n):
        model, x = of(end, 1), batch(n)
        z = model.module.bare(x)
        assert torch.equal(model.logits(x), torch.cat([torch.zeros_like(z), z], 1))
        torch.testing.assert_close(model.probabilities(x)[:, 1:], z.sigmoid().double())

    def test_is_explained_by_its_gradient_and_by_minus_it(self):
        model, x = of(lambda z: z, 1), batch()
        first, second = (capture(model, x, torch.full((3,), c)) for c in (0, 1))
        assert torch.equal(first.gradients, -second.gradients)
        assert second.gradients.abs().max() > 0

    @pytest.mark.parametrize("said", ["auto", "softmax", "sigmoid"])
    def test_is_the_same_whatever_is_said_of_it(self, said):
        model = of(lambda z: z, 1, outputs=said)
        assert (model.outputs.kind, model.outputs.exclusive) == ("softmax", True)

    def test_with_one_name_is_refused_with_the_way_out(self):
        model = wrap(Ending(lambda z: z, 1), classes=["malignant"], preprocessing=plain())
        with pytest.raises(CheckpointError, match=r"two class names.*the negative first"):
            model.logits(batch())

    def test_with_three_names_is_refused(self):
        model = wrap(Ending(lambda z: z, 1), classes=THREE, preprocessing=plain())
        with pytest.raises(CheckpointError, match=r"Expected two class names.*got 3"):
            model.logits(batch())

    def test_after_a_softmax_is_always_one_and_refused(self):
        with pytest.raises(CheckpointError, match="softmax, which is 1 whatever the image"):
            _ = of(lambda z: z.softmax(1), 1).outputs


class TestSmallLogits:
    """As of a network that is hardly trained: below 0.2 for any input, and near 0 for some."""

    @pytest.mark.parametrize("end", SMALL.values(), ids=SMALL)
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_are_no_probabilities(self, end, n):
        net = Ending(end, n, scale=1e-4)
        with torch.no_grad():
            net.fc.bias.copy_(torch.tensor([0.02, 0.15, 0.1])[:n])
        names = {1: ["benign", "malignant"], 2: ["benign", "malignant"], 3: THREE}[n]
        model = wrap(net, classes=names, preprocessing=plain())
        assert model.outputs.kind == "softmax"


class TestProbabilities:
    @pytest.mark.parametrize(
        ("end", "outputs"),
        [(end, n) for end in ENDS for n in (2, 3) if (end, n) != ("p and 1 - p", 3)],
    )
    def test_of_classes_are_recognised_and_kept(self, end, outputs):
        model, x = of(ENDS[end], outputs), batch()
        given = model.module(x)
        assert model.outputs.kind == "probabilities"
        assert model.outputs.exclusive
        torch.testing.assert_close(model.probabilities(x).float(), given, atol=1e-6, rtol=1e-5)
        assert "probabilities" in model.outputs_note

    @pytest.mark.parametrize("end", [torch.sigmoid, lambda z: z.sigmoid().squeeze(1)])
    def test_of_one_output_are_those_of_the_second_class(self, end):
        model, x = of(end, 1), batch()
        p = model.module.bare(x).sigmoid()
        torch.testing.assert_close(model.probabilities(x).float(), torch.cat([1 - p, p], 1))
        torch.testing.assert_close(model.logits(x)[:, 1:], model.module.bare(x))

    def test_of_independent_findings_are_kept_each(self):
        model, x = of(torch.sigmoid, 3), batch()
        assert (model.outputs.kind, model.outputs.exclusive) == ("probabilities", False)
        torch.testing.assert_close(model.probabilities(x).float(), model.module(x))
        torch.testing.assert_close(model.logits(x), model.module.bare(x), atol=1e-5, rtol=1e-5)

    def test_explain_the_logarithm(self):
        model, x = of(lambda y: y.softmax(1)), batch()
        log = Ending(lambda y: y.log_softmax(1))
        log.load_state_dict(model.module.state_dict())
        both = [capture(m, x, torch.ones(3)).gradients for m in (model, wrapped(log))]
        torch.testing.assert_close(*both, atol=1e-6, rtol=1e-4)

    @pytest.mark.parametrize("said", ["auto", "softmax", "probabilities"])
    def test_never_go_through_a_second_softmax(self, said):
        model, x = of(lambda y: y.softmax(1), outputs=said), batch()
        torch.testing.assert_close(model.probabilities(x).float(), model.module(x))

    def test_of_classes_are_not_taken_for_independent_ones(self):
        with pytest.raises(CheckpointError, match="probabilities already and sum to one"):
            _ = of(lambda y: y.softmax(1), outputs="sigmoid").outputs

    def test_of_independent_findings_are_not_taken_for_classes(self):
        with pytest.raises(CheckpointError, match="probabilities already and are each a sigmoid"):
            _ = of(torch.sigmoid, 3, outputs="softmax").outputs

    def test_that_are_none_are_refused_with_their_range(self):
        with pytest.raises(CheckpointError, match=r"in \[0, 1\] for --outputs probabilities"):
            _ = of(lambda y: y, outputs="probabilities").outputs

    def test_that_are_saturated_are_named(self):
        model = wrapped(Ending(lambda y: (1e6 * y).softmax(1)))
        with pytest.raises(MethodError, match=r"saturated.*without its last softmax"):
            _ = model.target_layer

    def test_need_not_be_float32(self):
        model = of(lambda y: y.softmax(1))
        model.module.to(torch.bfloat16)
        assert model.outputs.kind == "probabilities"


class TestLogits:
    def test_that_sum_to_one_by_chance_are_no_probabilities(self):
        net = Ending(lambda y: y)
        with torch.no_grad():
            net.fc.weight[1] = -net.fc.weight[0]
            net.fc.bias.copy_(torch.tensor([0.25, 0.75]))
            net.fc.weight.mul_(1e-6)  # and lie in [0, 1] whatever the image
        assert wrapped(net).outputs.kind == "softmax"

    def test_that_sum_to_one_after_some_arithmetic_are_no_probabilities(self):
        model = of(lambda y: torch.stack([y[:, 0], 1 - y[:, 0]], 1))
        assert model.outputs.kind == "softmax"

    @pytest.mark.parametrize("end", [F.log_softmax, lambda y, dim: y.log_softmax(dim) + 1])
    def test_after_a_log_softmax_need_nothing(self, end):
        model, x = of(lambda y: end(y, dim=1)), batch()
        assert model.network is model.module
        expected = model.module.bare(x).softmax(1).double()
        torch.testing.assert_close(model.probabilities(x), expected, atol=1e-6, rtol=1e-5)

    def test_of_two_classes_are_the_module_itself(self):
        model = of(lambda y: y)
        assert model.network is model.module
        assert model.outputs_note == model.outputs_in_words() == ""

    def test_of_three_are_taken_for_classes_aloud(self):
        model = of(lambda y: y, 3)
        assert model.outputs.exclusive
        assert "say --outputs sigmoid" in model.outputs_note
        assert of(lambda y: y, 3, outputs="softmax").outputs_note == ""

    def test_of_independent_findings_have_a_sigmoid_each(self):
        model, x = of(lambda y: y, 3, outputs="sigmoid"), batch()
        torch.testing.assert_close(model.probabilities(x), model.module(x).double().sigmoid())
        assert model.network is model.module

    def test_of_which_one_is_the_same_for_all_images_are_one_logit(self):
        """(0, z) says of the first class what one logit does: it is explained by minus z."""
        net = Ending(lambda y: y)
        with torch.no_grad():
            net.fc.weight[0] = 0
            net.fc.bias[0] = 0
        model, x = wrapped(net), batch()
        first, second = (capture(model, x, torch.full((3,), c)) for c in (0, 1))
        assert torch.equal(first.gradients, -second.gradients)
        assert torch.equal(model.logits(x), net(x))

    @pytest.mark.parametrize("kind", ["Softmax", "", "logits"])
    def test_of_an_unknown_kind_are_refused_with_the_known(self, kind):
        with pytest.raises(UsageError, match=r"Unknown outputs.*softmax, sigmoid, probabilities"):
            of(lambda y: y, outputs=kind)

    def test_that_are_values_have_a_name_each_and_no_probabilities(self):
        model = of(lambda y: y, outputs="value")
        assert (model.outputs.kind, model.outputs.exclusive) == ("value", False)
        with pytest.raises(UsageError, match="the outputs are values"):
            model.outputs.probabilities(torch.zeros(1, 2))
        one = wrap(Ending(lambda y: y, 2), preprocessing=plain(), outputs="value")
        with pytest.raises(CheckpointError, match="Expected a name for each of the 2 values"):
            _ = one.outputs


class TestAContainer:
    @pytest.mark.parametrize("end", GIVEN.values(), ids=GIVEN)
    def test_with_one_candidate_is_opened(self, end):
        model, x = of(end), batch()
        assert torch.equal(model.logits(x), model.module.bare(x))
        assert capture(model, x).gradients.abs().max() > 0
        assert model.target_layer == "relu" or model.target_layer

    @pytest.mark.parametrize(
        ("end", "output"),
        [
            (lambda y: (y * 2, y), 1),
            (lambda y: (y * 2, y), "1"),
            (lambda y: {"a": y * 2, "b": y}, "b"),
            (lambda y: Pair(y * 2, y), "aux"),
            (lambda y: SimpleNamespace(logits=y * 2, aux=y), "aux"),
        ],
    )
    def test_is_opened_where_it_is_said(self, end, output):
        model, x = of(end, output=output), batch()
        assert torch.equal(model.logits(x), model.module.bare(x))

    @pytest.mark.parametrize("end", [lambda y: (y, y), lambda y: {"a": y, "b": y}])
    def test_with_two_candidates_is_refused_with_their_names(self, end):
        with pytest.raises(MethodError, match=r": \(1, 2\), .: \(1, 2\).*--output"):
            _ = of(end).outputs

    def test_without_what_is_said_is_refused_with_its_names(self):
        model = of(lambda y: {"a": y, "b": y}, output="c")
        with pytest.raises(MethodError, match=r"logits at 'c'.*a: .*b: "):
            _ = model.outputs

    def test_of_one_tensor_gives_a_column(self):
        net = Ending(lambda y: y, 3)
        model = wrap(net, classes=["no mass", "mass"], preprocessing=plain(), output=2)
        x = batch()
        assert torch.equal(model.logits(x)[:, 1], net(x)[:, 2])
        assert torch.equal(model.logits(x)[:, 0], torch.zeros(3))

    def test_has_no_column_beyond_the_last(self):
        model = wrap(Ending(lambda y: y, 3), classes=["a", "b"], preprocessing=plain(), output=3)
        with pytest.raises(MethodError, match="index of one of 3 outputs, but got 3"):
            _ = model.outputs


def test_finding_out_leaves_the_module_as_it_is():
    net = Ending(lambda y: y.softmax(1)).train()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    before = torch.get_rng_state()
    _ = wrapped(net).outputs, wrapped(net).network
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(part.training for part in net.modules())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), before)
