"""The CAM family against slow twins of the papers' formulas, and against pytorch-grad-cam."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from tests.models.nets import SIZE, Brightness, Conv, vit, with_statistics, wrapped
from xattn.attribution.methods.cam import first_projection
from xattn.attribution.passes.capture import Captured, capture
from xattn.attribution.registry import method
from xattn.models import Model

ONE_PASS = ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam", "eigencam"]


def maps_of(name: str, model: Model | None, captured: Captured) -> Tensor:
    return method(name).maps(model, captured)


def relu(value: float) -> float:
    return max(value, 0.0)


def gradcam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    return np.maximum(sum(g[k].mean() * A[k] for k in range(len(A))), 0)


def gradcam_plus_plus(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Equation 19 with the powers as they stand."""
    result = np.zeros(A.shape[1:])
    for k in range(len(A)):
        weight = 0.0
        for i, j in np.ndindex(*A.shape[1:]):
            below = 2 * g[k, i, j] ** 2 + A[k].sum() * g[k, i, j] ** 3
            alpha = g[k, i, j] ** 2 / below if below else 0.0
            weight += alpha * relu(g[k, i, j])
        result += weight * A[k]
    return np.maximum(result, 0)


def hirescam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[k] * A[k] for k in range(len(A)))


def xgradcam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    weights = [(g[k] * A[k] / A[k].sum()).sum() if A[k].sum() else 0.0 for k in range(len(A))]
    return np.maximum(sum(w * a for w, a in zip(weights, A, strict=True)), 0)


def layercam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    result = np.zeros(A.shape[1:])
    for k, i, j in np.ndindex(*A.shape):
        result[i, j] += relu(g[k, i, j]) * A[k, i, j]
    return np.maximum(result, 0)


def eigencam(A: np.ndarray, g: np.ndarray) -> np.ndarray:
    O = A.reshape(len(A), -1).T  # noqa: E741
    projection = O @ np.linalg.svd(O)[2][0]
    return (projection * np.sign(projection.sum())).reshape(A.shape[1:])


TWINS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "hirescam": hirescam,
    "xgradcam": xgradcam,
    "layercam": layercam,
    "eigencam": eigencam,
}


def captured_of(A: np.ndarray, g: np.ndarray) -> Captured:
    return Captured(None, None, torch.from_numpy(A), torch.from_numpy(g))


@pytest.mark.parametrize("name", ONE_PASS)
class TestTheFormula:
    @pytest.mark.parametrize("channels", [3, 40], ids=["more positions", "more channels"])
    def test_is_that_of_the_paper(self, name, channels):
        rng = np.random.default_rng(0)
        A, g = (
            np.maximum(rng.normal(size=(2, channels, 4, 5)), 0),
            rng.normal(size=(2, channels, 4, 5)),
        )
        found = maps_of(name, None, captured_of(A, g)).numpy()
        for i in range(2):
            np.testing.assert_allclose(found[i], TWINS[name](A[i], g[i]), rtol=1e-9, atol=1e-12)

    def test_holds_for_activations_of_both_signs(self, name):
        rng = np.random.default_rng(1)
        A, g = rng.normal(size=(2, 1, 6, 3, 3))
        found = maps_of(name, None, captured_of(A, g)).numpy()[0]
        np.testing.assert_allclose(found, TWINS[name](A[0], g[0]), rtol=1e-8, atol=1e-10)

    def test_gives_zero_and_not_nan_for_dead_channels(self, name):
        A, g = np.zeros((2, 1, 3, 4, 4))
        assert (maps_of(name, None, captured_of(A, g)) == 0).all()

    def test_keeps_a_nan_for_the_image_that_has_it(self, name):
        A, g = np.random.default_rng(0).random((2, 2, 3, 4, 4))
        A[0, 0, 0, 0] = math.nan
        found = maps_of(name, None, captured_of(A, g))
        assert torch.isnan(found[0]).any()
        assert torch.isfinite(found[1]).all()

    def test_keeps_magnitudes_so_that_images_can_be_compared(self, name):
        model = wrapped(Brightness())
        x = torch.rand(1, 3, *SIZE)
        batch = torch.cat([x, x / 2])
        maps = maps_of(name, model, capture(model, batch, torch.tensor([0, 0])))
        expected = maps[0] / 2
        if name == "gradcam++":  # weights depend on the sum of the activations: 1 / (2 + g A)
            expected = maps[1]
            assert maps[1].max() < maps[0].max()
        torch.testing.assert_close(maps[1], expected)


def test_hirescam_of_a_linear_head_sums_to_the_logit():
    """Draelos and Carin: the map of a network that ends in averaging and one layer adds up."""
    model = wrapped(Brightness())
    found = capture(model, torch.rand(3, 3, *SIZE), torch.tensor([0, 1, 0]))
    total = maps_of("hirescam", model, found).sum((1, 2))
    torch.testing.assert_close(total, found.logits.gather(1, found.targets[:, None])[:, 0])


def test_the_projection_is_that_of_a_singular_value_decomposition():
    torch.manual_seed(0)
    for shape in [(3, 5, 9), (3, 9, 5), (2, 1, 4), (2, 4, 1)]:
        matrices = torch.randn(shape, dtype=torch.float64)
        _, _, v = torch.linalg.svd(matrices)
        expected = (matrices @ v[:, 0, :, None])[..., 0]
        expected = expected * expected.sum(1, keepdim=True).sign()
        torch.testing.assert_close(first_projection(matrices), expected)


THEIRS = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
}


def small(name: str) -> Model:
    return wrapped(timm.create_model(name, num_classes=2), (96, 160))


NETS: dict[str, Callable[[], Model]] = {
    "resnet": lambda: small("test_resnet"),
    "efficientnet": lambda: small("test_efficientnet"),
    "vit": lambda: wrapped(vit((64, 96)), (64, 96)),
}


def their_maps(name: str, model: Model, x: Tensor, targets: Tensor) -> np.ndarray:
    """Let pytorch-grad-cam run the model itself, and take its map before it is scaled."""
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
    return raw[0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("net", NETS)
class TestPytorchGradCam:
    @pytest.fixture
    def model(self, net) -> Model:
        torch.manual_seed(0)
        model = NETS[net]()
        with_statistics(model.module).double().eval()
        with torch.no_grad():  # gradients far above its eps of 1e-6
            for parameter in model.module.get_classifier().parameters():
                parameter.mul_(1e6)
        return model

    @pytest.mark.parametrize("name", THEIRS)
    def test_agrees_before_its_scaling_to_1e5_in_float64(self, model, name):
        x = torch.randn(3, 3, *model.preprocessing.size, dtype=torch.float64)
        targets = torch.tensor([0, 1, 1])
        ours = maps_of(name, model, capture(model, x, targets)).numpy()
        theirs = their_maps(THEIRS[name], model, x, targets)
        if name != "hirescam":  # we keep its sign
            theirs = np.maximum(theirs, 0)
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())

    def test_agrees_on_eigencam_of_centred_activations_up_to_the_sign(self, model):
        x = torch.randn(3, 3, *model.preprocessing.size, dtype=torch.float64)
        theirs = their_maps("EigenCAM", model, x, torch.tensor([0, 1, 1]))
        found = capture(model, x)
        O = found.activations.flatten(2).transpose(1, 2)  # noqa: E741
        ours = first_projection(O - O.mean(1, keepdim=True)).reshape(theirs.shape).numpy()
        signs = np.sign((ours * theirs).sum((1, 2), keepdims=True))
        np.testing.assert_allclose(ours * signs, theirs, atol=1e-5 * np.abs(theirs).max())


def test_all_of_one_pass_cost_one_forward(monkeypatch):
    passes = []

    class Counting(Conv):
        def forward(self, x: Tensor) -> Tensor:
            passes.append(len(x))
            return super().forward(x)

    model = wrapped(Counting().eval())
    _ = model.target_layer
    passes.clear()
    captured = capture(model, torch.randn(2, 3, *SIZE))
    for name in ONE_PASS:
        maps_of(name, model, captured)
    assert passes == [2]
