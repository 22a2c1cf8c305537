"""The faster private copy: the same results, the same names, and the model itself untouched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import Conv, swin, vit, with_statistics, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.registry import METHODS, Needs
from xattn.attribution.run.pipeline import explain
from xattn.models import Model, build

SIZE = (64, 96)


class Deep(Conv):
    """Enough convolutions to be worth a copy: two pairs with their norms, and two without."""

    def __init__(self) -> None:
        super().__init__()
        self.more, self.last = nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 1)

    def trunk(self, x: Tensor) -> Tensor:
        return self.more(self.relu(self.bn1(self.conv1(x))))

    def head(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.relu(x)).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bn2(self.conv2(self.trunk(x))))


FOLDED: dict[str, Callable[[], nn.Module]] = {
    "deep": Deep,
    "timm resnet": lambda: timm.create_model("test_resnet", num_classes=2),
    "timm efficientnet": lambda: timm.create_model("test_efficientnet", num_classes=2),
    "torchvision resnet": lambda: torchvision.models.resnet18(num_classes=2),
    "torchvision mobilenet": lambda: torchvision.models.mobilenet_v2(num_classes=2),
    "hybrid": lambda: build("resnet18-ga", 2),
}


def model_of(net: Callable[[], nn.Module], **options: str) -> Model:
    torch.manual_seed(0)
    return wrapped(with_statistics(net()).eval(), SIZE, **options)


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize("name", FOLDED)
class TestTheCopy:
    def test_has_no_norm_left_and_the_same_results(self, name):
        model = model_of(FOLDED[name])
        copied = make_fast_copy(model)
        assert norms(model.module) > 0
        assert norms(copied.module) == 0
        x = torch.randn(3, 3, *SIZE)
        ours = capture(copied, x, attention=copied.attention_layers)
        theirs = capture(model, x, ours.targets, attention=model.attention_layers)
        for key in ("logits", "activations", "gradients"):
            found, expected = getattr(ours, key), getattr(theirs, key)
            assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
        assert [one.name for one in ours.attention] == [one.name for one in theirs.attention]
        assert copied.target_layer == model.target_layer
        assert copied.target_layout == model.target_layout

    @pytest.mark.parametrize("method", [n for n, m in METHODS.items() if m.card.family == "cam"])
    def test_gives_the_same_maps(self, name, method):
        model = model_of(FOLDED[name])
        x, targets = torch.randn(2, 3, *SIZE), torch.tensor([0, 1])
        if Needs.MODEL in METHODS[method].needs and name != "timm resnet":
            pytest.skip("many forwards; one network is enough")
        ours, theirs = (
            METHODS[method].maps(m, capture(m, x, targets, activations=True))
            for m in (make_fast_copy(model), model)
        )
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))

    def test_leaves_the_model_untouched(self, name):
        model = model_of(FOLDED[name])
        _ = model.target_layer
        unsettle(model.module)
        before = Snapshot(model.module)
        copied = make_fast_copy(model)
        capture(copied, torch.randn(2, 3, *SIZE))
        before.check(model.module)
        ours = {p.data_ptr() for p in copied.module.parameters()}
        assert ours.isdisjoint(p.data_ptr() for p in model.module.parameters())
        assert copied.module is not model.module


def test_keeps_the_name_of_a_norm_that_is_explained():
    model = model_of(Deep, target_layer="bn2")
    copied = make_fast_copy(model)
    x = torch.randn(2, 3, *SIZE)
    assert norms(copied.module) == 0
    torch.testing.assert_close(
        capture(copied, x).activations, capture(model, x).activations, rtol=1e-4, atol=1e-5
    )


def test_does_not_fold_into_the_explained_convolution():
    model = model_of(Deep, target_layer="conv2")
    copied = make_fast_copy(model)
    x = torch.randn(2, 3, *SIZE)
    assert norms(copied.module) == 1
    torch.testing.assert_close(
        capture(copied, x).activations, capture(model, x).activations, rtol=1e-4, atol=1e-5
    )


class TwoConsumers(Deep):
    """The convolution's output is used before its norm, too: folding would be wrong."""

    def forward(self, x: Tensor) -> Tensor:
        raw = self.conv2(self.trunk(x))
        return self.head(self.bn2(raw) + raw)


class Standardised(nn.Conv2d):
    """Weights that are standardised whenever they are used: scaling them does nothing."""

    def forward(self, x: Tensor) -> Tensor:
        weight = F.normalize(self.weight.flatten(1)).view_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Uncopied(Deep):
    def __deepcopy__(self, memo: dict) -> nn.Module:
        raise TypeError("cannot be copied")


class Reading(Deep):
    """Looks into the norm itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.bn1.weight.mean()


class Shared(Deep):
    """One norm for two convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bn1(self.conv2(self.trunk(x))))


def standardised() -> nn.Module:
    net = Deep()
    net.conv2 = Standardised(6, 6, 3, 2, 1)
    return net


@pytest.mark.parametrize("net", [TwoConsumers, Uncopied, Reading])
def test_where_a_copy_is_not_true_the_model_itself_is_used(net):
    model = model_of(net)
    assert make_fast_copy(model) is model


@pytest.mark.parametrize("net", [Shared, standardised])
def test_what_cannot_be_folded_stays_and_the_rest_is_folded(net):
    model = model_of(net)
    copied = make_fast_copy(model)
    x = torch.randn(2, 3, *SIZE)
    torch.testing.assert_close(
        capture(copied, x).logits, capture(model, x).logits, rtol=1e-4, atol=1e-5
    )


def averaged_vit() -> nn.Module:
    return vit(class_token=False, global_pool="avg")


@pytest.mark.parametrize(("net", "size"), [(averaged_vit, (32, 48)), (swin, (32, 32))])
def test_a_transformer_that_reads_all_tokens_gains_nothing_and_is_not_copied(net, size):
    model = wrapped(net(), size)
    assert make_fast_copy(model) is model


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_can_be_made_in_any_mode(mode):
    model = model_of(Deep)
    with mode():
        copied = make_fast_copy(model)
    assert copied is not model
    capture(copied, torch.randn(1, 3, *SIZE))


def test_is_in_double_precision_if_the_model_is():
    model = model_of(Deep)
    model.module.double()
    x = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    torch.testing.assert_close(
        capture(make_fast_copy(model), x).logits, capture(model, x).logits, rtol=1e-12, atol=1e-12
    )


def test_an_exact_run_differs_by_rounding_alone(tmp_path):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(3):
        pixels = rng.integers(0, 256, (70, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
    model = model_of(Deep)
    fast, exact = (
        explain(model, tmp_path / "images", out=tmp_path / str(flag), exact=flag)
        for flag in (False, True)
    )
    assert (fast.settings["exact"], exact.settings["exact"]) == (False, True)
    maps = exact.maps("gradcam")
    np.testing.assert_allclose(fast.maps("gradcam"), maps, atol=1e-4 * maps.max())
    for name in model.classes:
        column = f"logit_{name}"
        np.testing.assert_allclose(fast.predictions[column], exact.predictions[column], rtol=1e-4)
