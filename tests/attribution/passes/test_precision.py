"""Low precision reaches the layers up to the explained one, and nothing that comes after them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import Conv, Tokens, swin, torchvision_vit, vit, with_statistics, wrapped
from xattn.attribution.attribute import attribute
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.engines.choose import Wanted
from xattn.attribution.passes.engines.registry import ENGINES, Engine, Extract, Run
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.passes.precision import DTYPES, TOLERANCES, in_float32
from xattn.attribution.registry import METHODS
from xattn.errors import MethodError
from xattn.models import Model, build
from xattn.models.averaging import ensemble

NETS = {
    "convolutions": (Conv, (32, 48)),
    "resnet": (lambda: build("test_resnet", 2), (64, 80)),
    "efficientnet": (lambda: build("test_efficientnet", 2), (64, 80)),
    "ga": (lambda: build("test_resnet-ga", 2), (64, 80)),
    "la": (lambda: build("test_resnet-la", 2), (64, 80)),
    "vit": (vit, (32, 48)),
    "torchvision vit": (torchvision_vit, (32, 32)),
    "swin": (swin, (32, 32)),
}
LOWER = tuple(DTYPES)


def model_of(name: str) -> Model:
    torch.manual_seed(0)
    net, size = NETS[name]
    return wrapped(with_statistics(net()).eval(), size)


def inputs(model: Model, n: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, *model.preprocessing.size, generator=generator)


def lowered(model: Model, precision: str = "bf16", accelerate: str = "torch") -> Model:
    return make_fast_copy(model, wanted=Wanted(accelerate, batch=2, precision=precision))


@pytest.fixture(scope="module", params=NETS)
def pair(request) -> tuple[Model, Model]:
    """A model, and its copy in bf16."""
    model = model_of(request.param)
    return model, lowered(model)


def test_every_network_of_ours_is_taken(pair):
    assert (pair[1].precision, pair[1].precision_note) == ("bf16", "")


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("accelerate", ["torch", "none"])
def test_layers_compute_in_it_and_give_float32(precision, accelerate):
    model = model_of("ga")
    copied = lowered(model, precision, accelerate)
    assert copied.precision == precision
    inside: set[torch.dtype] = set()
    for part in copied.module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda _m, _i, output: inside.add(output.dtype))
    ours = capture(copied, inputs(model, 2), attention=copied.attention_layers)
    assert DTYPES[precision] in inside
    given = [ours.logits, *ours.at_layer(), *(one.received() for one in ours.attention.values())]
    assert {one.dtype for one in given} == {torch.float32}


@pytest.mark.parametrize("precision", LOWER)
def test_logits_and_activations_are_near_the_models_own(precision):
    model = model_of("resnet")
    x = inputs(model, 3)
    theirs = capture(model, x)
    ours = capture(lowered(model, precision), x, theirs.targets)
    for found, expected in (
        (ours.logits, theirs.logits), (ours.activations, theirs.activations),
    ):  # fmt: skip
        apart = (found - expected).abs().max() / expected.abs().max()
        assert 0 < apart < TOLERANCES[precision]


@pytest.mark.parametrize("method", METHODS)
def test_maps_agree_with_those_in_float32(pair, method):
    model, copied = pair
    x = inputs(model, 3)
    try:
        expected = attribute(model, x, method, target=0)
    except MethodError as err:
        pytest.skip(f"not of this network: {err}")
    found = attribute(copied, x, method, target=0)
    assert found.dtype == torch.float32
    if METHODS[method].in_float32:
        with in_float32(copied):
            assert torch.equal(found, attribute(copied, x, method, target=0))
        return
    correlations = [
        spearmanr(ours, theirs, axis=None).statistic
        for ours, theirs in zip(found.numpy(), expected.numpy(), strict=True)
        if np.ptp(theirs) > 1e-3 * np.abs(theirs).max()  # else its ranks are of rounding alone
    ]
    # One map may turn over, as by the sign of an eigenvector, or by a threshold of the method.
    assert not correlations or np.median(correlations) > 0.8


def test_32_is_the_copy_that_it_was_to_the_bit():
    model = model_of("resnet")
    x = inputs(model, 3)
    plain, said = make_fast_copy(model), lowered(model, "32")
    assert (said.precision, said.lowered) == ("32", None)
    ours, theirs = capture(said, x), capture(plain, x)
    assert torch.equal(ours.logits, theirs.logits)
    for found, expected in zip(ours.at_layer(), theirs.at_layer(), strict=True):
        assert torch.equal(found, expected)
    assert lowered(model, "32", "none") is model


@pytest.mark.parametrize("accelerate", ["torch", "none"])
def test_the_model_is_left_as_it_was(accelerate):
    model = model_of("ga")
    _ = model.target_layer
    unsettle(model.module)
    before = Snapshot(model.module)
    copied = lowered(model, accelerate=accelerate)
    capture(copied, inputs(model, 2), attention=copied.attention_layers)
    before.check(model.module)
    assert {one.dtype for one in model.module.parameters()} == {torch.float32}
    assert not any("forward" in part.__dict__ for part in model.module.modules())
    assert model.precision == "32"


def test_a_pass_with_a_graph_from_the_beginning_is_in_float32():
    model = model_of("resnet")
    x = inputs(model, 2)
    copied = lowered(model, accelerate="none")
    with torch.enable_grad():
        assert torch.equal(copied.logits(x).detach(), model.logits(x).detach())
    with torch.no_grad():
        assert not torch.equal(copied.logits(x), model.logits(x))
        with in_float32(copied):
            assert torch.equal(copied.logits(x), model.logits(x))
        twin = copy.deepcopy(copied.module)
        with in_float32(copied):
            assert torch.equal(twin(x), model.module(x))
        assert not torch.equal(twin(x), model.module(x))


def test_an_ensemble_has_all_members_in_it():
    members = [model_of("resnet"), model_of("efficientnet")]
    copied = lowered(ensemble(members))
    assert copied.precision == "bf16"
    x = inputs(members[0], 2)
    with torch.no_grad():
        ours, theirs = (one.logits(x) for one in (copied, ensemble(members)))
    assert 0 < (ours - theirs).abs().max() < 0.25 * theirs.abs().max()


class Loud(Conv):
    """Too loud for float16, which ends at 65,504."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(1e6 * x)


def test_numbers_that_float16_has_not_are_computed_in_float32_and_it_is_said():
    torch.manual_seed(0)
    model = wrapped(Loud().eval())
    copied = lowered(model, "16")
    assert copied.precision == "32"
    assert copied.precision_note == "results differ by more than 0.05"
    x = inputs(model, 2)
    torch.testing.assert_close(capture(copied, x).logits, capture(model, x).logits)
    assert lowered(model, "bf16").precision == "bf16"


class Head(nn.Module):
    """Its first layer is the one that is explained, and it has no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.fc = nn.AvgPool2d(8), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(x).mean((2, 3)))


@pytest.mark.parametrize(("accelerate", "engine"), [("torch", "torch"), ("none", "")])
def test_a_network_without_layers_before_says_so(accelerate, engine):
    copied = lowered(wrapped(Head().eval(), target_layer="pool"), accelerate=accelerate)
    assert (copied.precision, copied.engine) == ("32", engine)
    assert copied.precision_note == "no layer with weights comes before the explained one"


def test_tokens_that_the_trunk_hands_on_are_float32_again():
    torch.manual_seed(0)
    model = wrapped(Tokens().eval())
    x = inputs(model, 2)
    copied = lowered(model)
    assert copied.precision == "bf16"
    apart = (capture(copied, x).logits - capture(model, x).logits).abs().max()
    assert 0 < apart < 0.1


class TestInAnEngine:
    @pytest.fixture(autouse=True)
    def _there(self) -> None:
        pytest.importorskip("openvino", reason="the extra `fast` is not installed")
        from xattn.attribution.passes.engines.with_openvino import held_back

        if held_back():
            pytest.skip(held_back())

    @pytest.mark.parametrize("precision", LOWER)
    def test_it_is_computed_in_what_is_said_or_torch_does_it(self, precision):
        model = model_of("resnet")
        copied = lowered(model, precision, "openvino")
        assert copied.precision == precision
        if copied.engine != "openvino":
            assert copied.engine_note.startswith("openvino: on this processor it computes in ")
        x = inputs(model, 3)
        theirs = capture(model, x)
        ours = capture(copied, x, theirs.targets)
        apart = (ours.activations - theirs.activations).abs().max()
        assert 2e-5 < apart / theirs.activations.abs().max() < TOLERANCES[precision]

    def test_methods_that_differentiate_the_network_stay_in_float32(self):
        model = model_of("resnet")
        copied = lowered(model, "bf16", "openvino")
        x = inputs(model, 2)
        found, expected = (attribute(one, x, "saliency", target=0) for one in (copied, model))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 * float(expected.max()))


def in_torch(extract: Extract, _example: Tensor, precision: str = "32") -> Run:
    """An engine that computes in float32, whatever is wanted."""
    own = copy.deepcopy(extract)

    def run(batch: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return list(own(batch))

    return run


@pytest.mark.parametrize(
    ("precisions", "note"),
    [
        (("bf16",), "mine: computes in float32 where bf16 is wanted"),
        ((), "mine does not compute in bf16"),
    ],
    ids=["says that it does", "does not"],
)
def test_an_engine_that_does_not_compute_in_it_leaves_it_to_torch(precisions, note, monkeypatch):
    mine = Engine("mine", "", "", 1.0, 0.5, in_torch, "an engine", precisions)
    monkeypatch.setitem(ENGINES, "mine", mine)
    model = model_of("resnet")
    assert lowered(model, "32", "mine").engine == "mine"
    copied = lowered(model, "bf16", "mine")
    assert (copied.engine, copied.precision, copied.engine_note) == ("torch", "bf16", note)


@pytest.mark.slow
def test_torch_compile_computes_in_it_too():
    model = model_of("resnet")
    copied = lowered(model, "bf16", "compile")
    if "no C++ compiler" in copied.engine_note:
        pytest.skip(copied.engine_note)
    assert (copied.engine, copied.precision, copied.engine_note) == ("compile", "bf16", "")
