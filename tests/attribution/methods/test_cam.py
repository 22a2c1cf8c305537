"""Grad-CAM against its formula and against pytorch-grad-cam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from tests.models.nets import SIZE, Brightness, Conv, swin, vit, with_statistics, wrapped
from xattn.attribution.methods.cam import GradCam
from xattn.attribution.passes.capture import Captured, capture
from xattn.images import read_image
from xattn.models import Model, build

REAL = Path(__file__).parents[4] / "shared/data/isic2018/images"


def gradcam(model: Model, x: Tensor, targets: Tensor | None = None) -> Tensor:
    return GradCam().maps(model, capture(model, x, targets))


class TestTheFormula:
    def test_is_that_of_the_paper(self):
        torch.manual_seed(0)
        activations, gradients = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64)
        found = GradCam().maps(None, Captured(None, None, activations, gradients))
        for i in range(2):
            expected = torch.zeros(4, 5, dtype=torch.float64)
            for k in range(3):
                expected += gradients[i, k].mean() * activations[i, k]
            torch.testing.assert_close(found[i], expected.clamp(min=0))

    def test_keeps_magnitudes_so_that_images_can_be_compared(self):
        model = wrapped(Brightness())
        x = torch.rand(1, 3, *SIZE)
        maps = gradcam(model, torch.cat([x, x / 2]), torch.tensor([0, 0]))
        torch.testing.assert_close(maps[1], maps[0] / 2)

    def test_lights_what_speaks_for_the_class_alone(self):
        """Brightness speaks for class 0 and against class 1."""
        model = wrapped(Brightness())
        x = torch.zeros(1, 3, *SIZE)
        x[:, :, 8:16, 24:32] = 1
        for_0 = gradcam(model, x, torch.tensor([0]))
        assert for_0[0].argmax() == 1 * 6 + 3
        assert (for_0 > 0).sum() == 1
        assert (gradcam(model, x, torch.tensor([1])) == 0).all()

    def test_reads_swins_channels_last(self):
        """The head averages the norm's output: the weights follow from it by hand."""
        net = swin()
        model = wrapped(net, (32, 32))
        x = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            features = net.norm(net.layers(net.patch_embed(x)))  # (n, 4, 4, C)
            target = net(x).argmax(1)
        weights = net.head.fc.weight[target] / 16
        expected = (features * weights[:, None, None]).sum(-1).clamp(min=0)
        torch.testing.assert_close(gradcam(model, x), expected)

    def test_of_a_class_token_vit_is_not_zero(self):
        x = torch.randn(4, 3, *SIZE)
        assert (gradcam(wrapped(vit()), x, torch.tensor([0, 1, 0, 1])).amax((1, 2)) > 0).any()


def their_map(
    model: Model, x: Tensor, targets: list[int], reshape: Callable[[Tensor], Tensor] | None
) -> np.ndarray:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = model.module.get_submodule(model.target_layer)
    with GradCAM(model.module, [layer], reshape_transform=reshape) as cam:
        return cam(x, [ClassifierOutputTarget(t) for t in targets])


def scaled_as_theirs(maps: Tensor, x: Tensor) -> np.ndarray:
    """It takes each map's minimum off, divides by its maximum and enlarges it, and once more."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    large = scale_cam_image(maps.numpy(), (x.shape[3], x.shape[2]))
    return scale_cam_image(np.maximum(large, 0))


def tokens_to_grid(grid: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, 1:].reshape(len(x), *grid, -1).permute(0, 3, 1, 2)


def agree(model: Model, x: Tensor) -> None:
    layout = model.target_layout
    reshape = tokens_to_grid(layout.grid) if layout.kind == "tokens" else None
    targets = [i % 2 for i in range(len(x))]
    ours = gradcam(model, x, torch.tensor(targets))
    theirs = their_map(model, x, targets, reshape)
    np.testing.assert_allclose(scaled_as_theirs(ours, x), theirs, atol=1e-4)
    assert theirs.max() > 0.99  # not a map of zeros


SMALL = {"test_resnet": (96, 160), "test_efficientnet": (96, 160), "test_vit": (160, 160)}
REAL_SIZED = ["resnet18", "efficientnet_b0", "vit_tiny_patch16_224", "resnet18-ga"]


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestPytorchGradCam:
    @pytest.mark.parametrize("name", SMALL)
    def test_agrees_on_small_models_of_each_family(self, name):
        net = with_statistics(timm.create_model(name, num_classes=2)).eval()
        model = wrapped(net, SMALL[name])
        agree(model, torch.randn(4, 3, *SMALL[name]))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", REAL_SIZED)
    def test_agrees_on_random_images(self, name):
        model = wrapped(with_statistics(build(name, 2)).eval(), (224, 224))
        agree(model, torch.randn(8, 3, 224, 224))

    @pytest.mark.slow
    @pytest.mark.skipif(not REAL.is_dir(), reason=f"real images are not at {REAL}")
    @pytest.mark.parametrize("name", REAL_SIZED)
    def test_agrees_on_32_real_images(self, name):
        model = wrapped(with_statistics(build(name, 2)).eval(), (224, 224))
        files = sorted(REAL.glob("*.jpg"))[::80][:32]
        assert len(files) == 32
        x = torch.stack([model.preprocess(read_image(file).image) for file in files])
        for part in x.split(8):
            agree(model, part)


class TestTraps:
    def test_frozen_weights_under_no_grad_are_explained_all_the_same(self):
        net = Conv().eval()
        x, targets = torch.randn(2, 3, *SIZE), torch.tensor([0, 1])
        expected = gradcam(wrapped(net), x, targets)
        net.requires_grad_(False)
        with torch.no_grad():
            assert torch.equal(gradcam(wrapped(net), x, targets), expected)
        assert expected.max() > 0

    def test_an_in_place_relu_after_the_layer_changes_nothing(self):
        """The twin without in-place operations is the truth."""
        net = with_statistics(Conv()).eval()
        twin = Conv().eval()
        twin.load_state_dict(net.state_dict())
        twin.relu = nn.ReLU()
        x, targets = torch.randn(4, 3, *SIZE), torch.tensor([0, 1, 0, 1])
        expected = gradcam(wrapped(twin), x, targets)
        torch.testing.assert_close(gradcam(wrapped(net), x, targets), expected)
        assert expected.max() > 0
