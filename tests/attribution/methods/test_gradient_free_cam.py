"""Score-CAM and Ablation-CAM against slow twins and against pytorch-grad-cam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models.nets import SIZE, Brightness, Conv, swin, vit, with_statistics, wrapped
from xattn.attribution.methods.gradient_free_cam import AblationCam, ScoreCam
from xattn.attribution.passes.capture import capture
from xattn.attribution.registry import Method
from xattn.models import Model

NETS: dict[str, Callable[[], Model]] = {
    "conv": lambda: wrapped(with_statistics(Conv()).eval()),
    "resnet": lambda: wrapped(
        with_statistics(timm.create_model("test_resnet", num_classes=2)).eval()
    ),
    "vit": lambda: wrapped(vit()),
    "swin": lambda: wrapped(swin(), (32, 32)),
}


def passed(model: Model, n: int = 3) -> tuple[Tensor, Tensor]:
    model.module.double()
    x = torch.randn(n, 3, *model.preprocessing.size, dtype=torch.float64)
    return x, torch.arange(n) % 2


def maps_of(method: Method, model: Model, x: Tensor, targets: Tensor) -> Tensor:
    return method.maps(model, capture(model, x, targets, gradients=False, activations=True))


@pytest.mark.parametrize("name", NETS)
class TestScoreCam:
    def test_equals_the_slow_twin(self, name):
        model = NETS[name]()
        x, targets = passed(model)
        found = maps_of(ScoreCam(), model, x, targets)
        A = capture(model, x).activations
        with torch.no_grad():
            for i in range(len(x)):
                scores = []
                for k in range(A.shape[1]):
                    mask = F.interpolate(A[i : i + 1, k : k + 1], x.shape[2:], mode="bilinear")
                    if mask.max() > mask.min():
                        mask = (mask - mask.min()) / (mask.max() - mask.min())
                    else:
                        mask = torch.zeros_like(mask)
                    scores.append(model.module(x[i : i + 1] * mask)[0, targets[i]])
                weights = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
                expected = sum(w * a for w, a in zip(weights, A[i], strict=True)).clamp(min=0)
                torch.testing.assert_close(found[i], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
class TestAblationCam:
    def test_equals_the_slow_twin(self, name):
        model = NETS[name]()
        x, targets = passed(model)
        found = maps_of(AblationCam(), model, x, targets)
        A = capture(model, x).activations
        layer = model.module.get_submodule(model.target_layer)
        prefix = model.target_layout.prefix
        for i in range(len(x)):
            expected = torch.zeros_like(A[i, 0])
            for k in range(A.shape[1]):

                def without(_module: nn.Module, _inputs: tuple, output: Tensor, k=k) -> Tensor:
                    output = output.clone()
                    if model.target_layout.kind == "channels-first":
                        output[:, k] = 0
                    elif model.target_layout.kind == "channels-last":
                        output[..., k] = 0
                    else:
                        output[:, prefix:, k] = 0
                    return output

                with torch.no_grad():
                    whole = model.module(x[i : i + 1])[0, targets[i]]
                    handle = layer.register_forward_hook(without)
                    expected += (whole - model.module(x[i : i + 1])[0, targets[i]]) * A[i, k]
                    handle.remove()
            torch.testing.assert_close(found[i], expected.clamp(min=0), rtol=1e-8, atol=1e-10)


def test_ablation_of_a_linear_head_is_gradcam():
    """Without a channel the logit loses its mean times its weight: both methods' sums agree."""
    model = wrapped(Brightness())
    x, targets = torch.rand(3, 3, *SIZE), torch.tensor([0, 0, 0])
    found = maps_of(AblationCam(), model, x, targets)
    activations = capture(model, x).activations[:, 0]
    torch.testing.assert_close(found, activations.mean((1, 2), keepdim=True) * activations)


def test_a_negative_logit_does_not_turn_the_ablation_map_over():
    class Dark(Brightness):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) - 5

    x, targets = torch.rand(2, 3, *SIZE), torch.tensor([0, 0])
    bright = maps_of(AblationCam(), wrapped(Brightness()), x, targets)
    torch.testing.assert_close(
        maps_of(AblationCam(), wrapped(Dark()), x, targets), bright, rtol=1e-4, atol=1e-5
    )


def test_scorecam_runs_the_model_in_batches_of_bounded_size():
    sizes: list[int] = []

    class Counting(Conv):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(len(x))
            return super().forward(x)

    model = wrapped(Counting(channels=20).eval())
    _ = model.target_layer
    sizes.clear()
    maps_of(ScoreCam(), model, torch.randn(3, 3, *SIZE), torch.tensor([0, 1, 0]))
    assert max(sizes) == 8
    assert sum(sizes) == 3 + 3 * 20


def their_raw(name: str, model: Model, x: Tensor, targets: Tensor) -> np.ndarray:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = model.module.get_submodule(model.target_layer)
    raw = []

    class Raw(getattr(pytorch_grad_cam, name)):
        def get_cam_image(self, *arguments: object) -> np.ndarray:
            raw.append(super().get_cam_image(*arguments))
            return raw[-1]

    with Raw(model.module, [layer], reshape_transform=model.target_layout.spatial) as library:
        library(x, [ClassifierOutputTarget(int(t)) for t in targets])
    return np.maximum(raw[0], 0)


class Rectified(Conv):
    """Its explained layer is a ReLU: only there does pytorch-grad-cam set channels to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.last(self.bn2(self.conv2(x)))
        return self.fc(x.square().mean((2, 3)))


class TestPytorchGradCam:
    @pytest.fixture
    def model(self) -> Model:
        torch.manual_seed(1)
        net = with_statistics(Rectified()).double().eval()
        return wrapped(net, target_layer="last")

    def test_agrees_on_scorecam_once_its_corners_are_not_aligned(self, model, monkeypatch):
        class Unaligned(nn.Upsample):
            def __init__(self, size: tuple[int, int]) -> None:
                super().__init__(tuple(size), mode="bilinear", align_corners=False)

        x, targets = passed(model)
        aligned = their_raw("ScoreCAM", model, x, targets)
        monkeypatch.setattr(nn, "UpsamplingBilinear2d", Unaligned)
        theirs = their_raw("ScoreCAM", model, x, targets)
        ours = maps_of(ScoreCam(), model, x, targets).numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert np.abs(ours - aligned).max() > 1e-4

    def test_agrees_on_ablationcam_but_for_dividing_by_the_logit(self, model):
        model.module.fc.bias.data += 1  # its maps turn over where a logit is negative
        x, targets = passed(model)
        logits = capture(model, x, targets).logits.gather(1, targets[:, None])
        assert (logits > 0).all()
        ours = maps_of(AblationCam(), model, x, targets) / logits[..., None]
        theirs = their_raw("AblationCAM", model, x, targets)
        assert theirs.max() > 1e-3
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=1e-5 * theirs.max())
