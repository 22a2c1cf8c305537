"""Where the cells of known networks lie, and what happens where no operation tells."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from tests.models.nets import Conv, Tokens, wrapped
from xattn.errors import MethodError
from xattn.images import Cells
from xattn.models import build
from xattn.models.probing.cell_places import find_cells
from xattn.models.probing.probe import find_target_layer, probe


def cells_of(module: nn.Module, size: tuple[int, int]) -> Cells:
    layer = find_target_layer(probe(module.eval(), size))
    return find_cells(module, size, [layer])[layer.name]


def opened(module: nn.Module) -> nn.Module:
    """Open the gates of attention blocks, so that they mix what they are shown."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(1.0)
    return module


@pytest.mark.parametrize(
    ("name", "size", "first", "step"),
    [
        ("resnet18", (96, 128), 0, 32),
        ("resnet18", (97, 65), 0, 32),
        ("resnet18-ga", (64, 96), 0, 32),
        ("resnet18-la", (64, 96), 0, 32),
        ("resnet18-ela", (64, 96), 0, 32),
        ("efficientnet_b0", (64, 96), 0, 32),
        ("tf_efficientnet_lite0", (64, 64), 31, 32),
        ("mobilenetv3_small_050", (64, 96), 0, 32),
        ("convnext_atto", (64, 96), 15.5, 32),
        ("vgg11", (64, 96), 15.5, 32),
        ("densenet121", (64, 96), 14, 32),
    ],
)
def test_strides_and_paddings_put_the_cells_of_known_networks(name, size, first, step):
    study = name.startswith("resnet18") or name == "efficientnet_b0"
    module = build(name, 2) if study else timm.create_model(name, num_classes=2)
    cells = cells_of(opened(module), size)
    assert cells.found == "traced"
    np.testing.assert_allclose(cells.y, first + step * np.arange(len(cells.y)))
    np.testing.assert_allclose(cells.x, first + step * np.arange(len(cells.x)))
    assert cells.size == size


@pytest.mark.parametrize(
    ("name", "size", "patch"),
    [
        ("vit_tiny_patch16_224", (48, 80), 16),
        ("swin_tiny_patch4_window7_224", (64, 96), 32),
        ("deit_tiny_distilled_patch16_224", (32, 48), 16),
    ],
)
def test_tokens_and_windows_lie_at_their_patches(name, size, patch):
    cells = cells_of(timm.create_model(name, num_classes=2, img_size=size), size)
    assert cells.found == "traced"
    expected = Cells.spread((size[0] // patch, size[1] // patch), size)
    np.testing.assert_allclose(cells.y, expected.y, atol=1e-4)
    np.testing.assert_allclose(cells.x, expected.x, atol=1e-4)


class Fourier(nn.Module):
    """Filters in the frequency domain: every operation is global, the network is not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.identity, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Identity(), nn.Linear(4, 2)
        self.features = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        frequencies = torch.fft.rfft2(self.conv(x))
        x = self.features(torch.fft.irfft2(frequencies, s=tuple(self.conv(x).shape[2:])))
        return self.fc(x.mean((2, 3)))


def test_where_operations_do_not_tell_the_gradient_is_asked():
    cells = cells_of(Fourier(), (32, 48))
    assert cells.found == "probed"
    np.testing.assert_allclose(cells.y, Cells.spread((8, 12), (32, 48)).y, atol=1)
    np.testing.assert_allclose(cells.x, Cells.spread((8, 12), (32, 48)).x, atol=1)


class Lost(Fourier):
    """Every cell hears all pixels alike: there is nothing to find."""

    def forward(self, x: Tensor) -> Tensor:
        mean = self.conv(x).mean((2, 3), keepdim=True)
        return self.fc(self.features(mean.expand(-1, -1, 8, 12) * 1.0).mean((2, 3)))


def test_what_nobody_can_find_is_spread_evenly_and_said_to_be():
    cells = cells_of(Lost(), (32, 48))
    assert cells == Cells.spread((8, 12), (32, 48))
    assert cells.found == "spread"


@pytest.mark.parametrize("make", [Conv, Tokens, Fourier, Lost])
def test_the_module_comes_back_as_it_was(make):
    module = make().train()
    module.conv1 = getattr(module, "conv1", nn.Identity())
    before = {k: v.clone() for k, v in module.state_dict().items()}
    layers = probe(module, (32, 48))
    find_cells(module, (32, 48), layers)
    assert module.training
    assert all(part.training for part in module.modules())
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())
    assert all(p.grad is None for p in module.parameters())


def test_places_are_found_under_inference_mode_in_half_precision_and_when_frozen():
    module = Conv().bfloat16().requires_grad_(False)
    with torch.inference_mode():
        cells = cells_of(module, (32, 48))
    np.testing.assert_allclose(cells.y, 4 * np.arange(8))


def test_a_model_says_where_the_cells_of_its_layers_lie():
    model = wrapped(Conv().eval())
    assert model.cells().y == tuple(4.0 * i for i in range(8))
    assert model.cells("conv1").x == tuple(2.0 * i for i in range(24))
    with pytest.raises(MethodError, match="'fc' has none"):
        model.cells("fc")
