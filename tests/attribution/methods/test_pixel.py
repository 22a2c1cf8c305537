"""The pixel family against captum itself, against slow twins, and where it makes no sense."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from tests.models.nets import SIZE, Brightness, Conv, vit, with_statistics, wrapped
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.model_state import seeded
from xattn.attribution.registry import METHODS
from xattn.errors import MethodError
from xattn.models import Model

PIXEL = [name for name, m in METHODS.items() if m.card.family == "pixel"]

NETS: dict[str, Callable[[], Model]] = {
    "conv": lambda: wrapped(with_statistics(Conv()).eval()),
    "resnet": lambda: wrapped(
        with_statistics(timm.create_model("test_resnet", num_classes=2)).eval()
    ),
    "vit": lambda: wrapped(vit()),
}


def passed(model: Model, n: int = 3) -> tuple[Tensor, Tensor]:
    model.module.double()
    return torch.randn(n, 3, *model.preprocessing.size, dtype=torch.float64), torch.arange(n) % 2


def maps_of(name: str, model: Model, x: Tensor, targets: Tensor) -> Tensor:
    captured = capture(model, x, targets, gradients=False)
    return METHODS[name].maps(model, captured)


def at_target(model: Model, x: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        return model.module(x).gather(1, targets[:, None])[:, 0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("net", NETS)
class TestCaptum:
    def test_agrees_on_saliency(self, net):
        from captum.attr import Saliency

        model = NETS[net]()
        x, targets = passed(model)
        theirs = Saliency(model.module).attribute(x, target=targets).sum(1)
        torch.testing.assert_close(maps_of("saliency", model, x, targets), theirs)

    def test_agrees_on_integrated_gradients(self, net):
        from captum.attr import IntegratedGradients

        model = NETS[net]()
        x, targets = passed(model)
        theirs = IntegratedGradients(model.module).attribute(x, target=targets).sum(1)
        torch.testing.assert_close(maps_of("integrated-gradients", model, x, targets), theirs)

    def test_agrees_on_gradient_shap(self, net):
        from captum.attr import GradientShap

        model = NETS[net]()
        x, targets = passed(model)
        levels = torch.tensor([0, 128 / 255, 1], dtype=torch.float64)[:, None, None, None]
        baselines = levels.expand(3, *x.shape[1:])
        expected = []
        for image, target in zip(x.split(1), targets, strict=True):
            with seeded(x.device):
                attributed = GradientShap(model.module).attribute(
                    image, baselines, n_samples=24, stdevs=0.1, target=target
                )
            expected.append(attributed.sum(1))
        theirs = torch.cat(expected).to(x.dtype)
        torch.testing.assert_close(maps_of("gradient-shap", model, x, targets), theirs)

    def test_agrees_on_occlusion(self, net):
        from captum.attr import Occlusion

        model = NETS[net]()
        x, targets = passed(model)
        height, width = (side // 7 for side in x.shape[2:])
        theirs = Occlusion(model.module).attribute(
            x, (3, height, width), strides=(3, height // 2, width // 2), target=targets
        )
        torch.testing.assert_close(
            maps_of("occlusion", model, x, targets), theirs[:, 0].to(x.dtype)
        )

    def test_agrees_on_deeplift_where_the_network_has_its_own_activations(self, net):
        if net == "vit":
            pytest.skip("deeplift has no rule for attention")
        from captum.attr import DeepLift

        class Own(Conv):
            def __init__(self) -> None:
                super().__init__()
                self.relu, self.relu2 = nn.ReLU(), nn.ReLU()

            def forward(self, x: Tensor) -> Tensor:
                x = self.relu(self.bn1(self.conv1(x)))
                return self.fc(self.relu2(self.bn2(self.conv2(x))).mean((2, 3)))

        model = wrapped(with_statistics(Own()).eval()) if net == "conv" else NETS[net]()
        x, targets = passed(model)
        for part in model.module.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = False
        ours = maps_of("deeplift", model, x, targets)
        theirs = DeepLift(model.module).attribute(x, target=targets).sum(1).detach()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


class TestWhatTheyPromise:
    @pytest.mark.parametrize("name", ["integrated-gradients", "deeplift"])
    def test_attributions_add_up_to_the_logits_change(self, name):
        model = NETS["conv"]()
        x, targets = passed(model)
        change = at_target(model, x, targets) - at_target(model, torch.zeros_like(x), targets)
        found = maps_of(name, model, x, targets).sum((1, 2))
        torch.testing.assert_close(found, change, rtol=1e-2, atol=1e-3)

    def test_occlusion_is_what_the_logit_loses(self):
        """The slow twin covers one window after another."""
        model = NETS["conv"]()
        x, targets = passed(model, 1)
        lost, covered = torch.zeros(2, *SIZE, dtype=torch.float64)
        h, w = SIZE[0] // 7, SIZE[1] // 7
        whole = at_target(model, x, targets)
        for top in range(0, SIZE[0] - h + h // 2, h // 2):
            for left in range(0, SIZE[1] - w + w // 2, w // 2):
                x_covered = x.clone()
                x_covered[:, :, top : top + h, left : left + w] = 0
                change = whole - at_target(model, x_covered, targets)
                lost[top : top + h, left : left + w] += change
                covered[top : top + h, left : left + w] += 1
        found = maps_of("occlusion", model, x, targets)[0]
        torch.testing.assert_close(found, lost / covered)

    @pytest.mark.parametrize("name", ["saliency", "integrated-gradients", "occlusion"])
    def test_a_linear_network_is_explained_by_its_weights(self, name):
        model = wrapped(Brightness())
        x = torch.rand(2, 3, *SIZE)
        weight = 1 / (3 * 64 * 24)
        expected = torch.full((2, *SIZE), 3 * weight)
        if name == "integrated-gradients":
            expected = weight * x.sum(1)
        found = maps_of(name, model, x, torch.tensor([0, 0]))
        if name == "occlusion":
            found, expected = found.sum((1, 2)) > 0, torch.tensor([True, True])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("name", PIXEL)
    def test_memory_is_bounded_by_the_batch(self, name):
        sizes: list[int] = []

        class Counting(Conv):
            def forward(self, x: Tensor) -> Tensor:
                if isinstance(x, Tensor) and not isinstance(x, torch.fx.Proxy):
                    sizes.append(len(x))
                return super().forward(x)

        model = wrapped(Counting().eval())
        maps_of(name, model, torch.randn(2, 3, *SIZE), torch.tensor([0, 1]))
        assert max(sizes) <= 24

    @pytest.mark.parametrize("name", PIXEL)
    def test_an_input_made_under_inference_mode_can_be_explained(self, name):
        with torch.inference_mode():
            model = NETS["conv"]()
            x = torch.randn(1, 3, *SIZE)
        model.module = with_statistics(Conv()).eval()
        maps = maps_of(name, model, x, torch.tensor([0]))
        assert torch.isfinite(maps).all()


class Functional(Conv):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(torch.relu(self.bn2(self.conv2(x))).mean((2, 3)))


class TestDeepLift:
    @pytest.mark.parametrize("net", [Conv, Functional], ids=["shared", "functional"])
    def test_of_activations_that_are_shared_or_functions_is_that_of_modules(self, net):
        """captum alone refuses the first, and is silently wrong on the second."""
        torch.manual_seed(0)
        model = wrapped(with_statistics(net()).eval())
        x, targets = passed(model)
        METHODS["deeplift"].check(model)
        found = maps_of("deeplift", model, x, targets).sum((1, 2))
        change = at_target(model, x, targets) - at_target(model, torch.zeros_like(x), targets)
        torch.testing.assert_close(found, change)

    def test_works_on_torchvisions_resnet_that_uses_one_relu_twice(self):
        model = wrapped(torchvision.models.resnet18(num_classes=2).eval(), (64, 64))
        METHODS["deeplift"].check(model)

    @pytest.mark.parametrize(
        "net", [vit, lambda: timm.create_model("test_efficientnet", num_classes=2)]
    )
    def test_is_refused_where_an_operation_has_no_rule(self, net):
        model = wrapped(net().eval())
        with pytest.raises(MethodError, match="has no rule; use integrated-gradients"):
            METHODS["deeplift"].check(model)

    def test_misses_a_few_per_cent_where_max_pooling_overlaps(self):
        model = NETS["resnet"]()
        x, targets = passed(model)
        found = maps_of("deeplift", model, x, targets).sum((1, 2))
        change = at_target(model, x, targets) - at_target(model, torch.zeros_like(x), targets)
        torch.testing.assert_close(found, change, rtol=0.05, atol=0)

    def test_is_refused_where_the_forward_cannot_be_traced(self):
        class Branching(Conv):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x if x.mean() > 0 else -x)

        with pytest.raises(MethodError, match="can be traced, but got TraceError"):
            METHODS["deeplift"].check(wrapped(Branching().eval()))
