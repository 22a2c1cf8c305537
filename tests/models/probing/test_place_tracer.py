"""Places found by following operations are those that the input's gradient shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.nets import evenly
from xattn.models.probing.place_rules import along
from xattn.models.probing.place_tracer import PlaceTracer

SIZE = (40, 56)


def traced(module: nn.Module, size: tuple[int, int] = SIZE) -> Tensor | None:
    """Places of the module's output, (2, *shape)."""
    tracer = PlaceTracer()
    x = torch.randn(1, 3, *size)
    tracer.start(x)
    with torch.no_grad(), tracer:
        output = module(x)
    return tracer.places(output)


def looked_at(module: nn.Module, size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The slow twin, along the middle column and row of cells.

    Returns:
        Per axis the centroid of each cell's gradient, and whether the cell sees all it can.
    """
    x = torch.randn(1, 3, *size, requires_grad=True)
    output = module(x)[0].sum(0)
    middle = [output[:, output.shape[1] // 2], output[output.shape[0] // 2]]
    found = []
    for axis, cells in enumerate(middle):
        profiles = []
        for cell in cells:
            (g,) = torch.autograd.grad(cell, x, retain_graph=True)
            profiles.append(g[0].abs().sum((0, 2 - axis)).numpy())
        weight = np.stack(profiles).astype(float)
        total = weight.sum(1)
        # Cut off neither by a border nor by a crop: as large as any, and in the run of equals.
        field = (weight > 0).sum(1)
        whole = (weight[:, 0] == 0) & (weight[:, -1] == 0) & (field == max(1, field.max()))
        whole &= np.isclose(total, total.max()) & (whole.sum() > 2)
        found.append((weight @ np.arange(size[axis]) / np.where(total > 0, total, 1), whole))
    return found


class Cropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., 1:, :-2]


class Padded(nn.Module):
    """As TensorFlow pads: more after than before."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 1, 1, 2))


class Shuffled(nn.Module):
    """Patches put into channels and back, by reshaping and permuting alone."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        cut = x[..., : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2)
        return cut.permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


class Branches(nn.Module):
    """Two paths of one stride, added, one of them in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.long = nn.Conv2d(channels, 4, 3, 2, 1)
        self.short = nn.Conv2d(channels, 4, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.long(x).add_(self.short(x)).relu_()


class Joined(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, 3, 3, padding=1), nn.Conv2d(channels, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x)], 1).contiguous(memory_format=torch.channels_last)


STEPS = {
    "conv 3, stride 2": lambda c: nn.Conv2d(c, 4, 3, 2, 1),
    "conv 7, stride 3, padding 2": lambda c: nn.Conv2d(c, 4, 7, 3, 2),
    "conv 2, stride 2": lambda c: nn.Conv2d(c, 4, 2, 2),
    "conv 4 by 3, unpadded": lambda c: nn.Conv2d(c, 4, (4, 3)),
    "dilated": lambda c: nn.Conv2d(c, 4, 3, 1, 2, dilation=2),
    "grouped": lambda c: nn.Conv2d(c, c, 5, 2, 2, groups=c),
    "transposed": lambda c: nn.ConvTranspose2d(c, 4, 4, 2, 1),
    "average 3, stride 2": lambda c: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average 2, ceiled": lambda c: nn.AvgPool2d(2, 2, ceil_mode=True),
    "cropped": lambda c: Cropped(),
    "padded unevenly": lambda c: Padded(),
    "patches into channels": lambda c: Shuffled(),
    "branches": lambda c: Branches(c),
    "joined": lambda c: Joined(c),
    "norm": lambda c: nn.BatchNorm2d(c),
    "enlarged": lambda c: nn.Upsample(scale_factor=2, mode="nearest"),
}


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=3),
    size=st.tuples(st.integers(50, 70), st.integers(50, 70)),
)
def test_a_cell_lies_where_the_centroid_of_its_gradient_is(
    steps: list[str], size: tuple[int, int]
) -> None:
    layers: list[nn.Module] = []
    channels = 3
    for name in steps:
        layers.append(STEPS[name](channels))
        channels = nn.Sequential(*layers).eval()(torch.zeros(1, 3, 32, 32)).shape[1]
    module = evenly(nn.Sequential(*layers).eval())
    places = traced(module, size)
    assert places is not None
    mine = places[:, 0].nanmean(dim=1).numpy()
    along_axes = [mine[0, :, mine.shape[2] // 2], mine[1, mine.shape[1] // 2]]
    for found, (centroids, whole) in zip(along_axes, looked_at(module, size), strict=True):
        # Where a field reaches the border it is cut off, and its centroid moves inwards.
        apart = np.abs(found - centroids)[whole]
        # What is enlarged repeats cells: they look at one place, and lie half a cell around it.
        repeats = {"enlarged", "transposed"} & set(steps)
        assert not apart.size or apart.max() < (8 if repeats else 0.01)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_alone_keeps_places_for_all_cells(name: str) -> None:
    places = traced(evenly(STEPS[name](3).eval()))
    assert places is not None
    assert not places.isnan().any()


class Squeezed(nn.Module):
    """Squeeze and excitation around a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()


class Attending(nn.Module):
    """Self-attention over all positions with a residual, weights formed in the open or fused."""

    def __init__(self, fused: bool, turned: bool = False) -> None:
        super().__init__()
        self.patches, self.qkv = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 24)
        self.fused, self.turned = fused, turned

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        if self.fused:
            mixed = F.scaled_dot_product_attention(q, k, v)
        elif self.turned:  # keys first, as some write it
            mixed = (v.transpose(1, 2) @ (k @ q.transpose(1, 2)).softmax(1)).transpose(1, 2)
        else:
            mixed = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return x + mixed.transpose(1, 2).reshape(x.shape)


class TokenMixing(nn.Module):
    """A linear layer over all positions, with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix = nn.Conv2d(3, 8, 8, 8), nn.Linear(35, 35)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        return x + self.mix(x.flatten(2)).reshape(x.shape)


@pytest.mark.parametrize(
    ("module", "first", "step"),
    [
        (Squeezed(), 0, 2),
        (Attending(fused=True), 3.5, 8),
        (Attending(fused=False), 3.5, 8),
        (Attending(fused=False, turned=True), 3.5, 8),
        (TokenMixing(), 3.5, 8),
    ],
    ids=["squeeze and excitation", "fused", "in the open", "keys first", "token mixing"],
)
def test_what_tells_a_cell_of_the_whole_image_does_not_move_it(
    module: nn.Module, first: float, step: float
) -> None:
    places = traced(module)
    assert places is not None
    h, w = places.shape[-2:]
    assert torch.allclose(places[0, 0, 0, :, 0], first + step * torch.arange(float(h)))
    assert torch.allclose(places[1, 0, 0, 0, :], first + step * torch.arange(float(w)))


def test_a_global_average_has_no_place() -> None:
    places = traced(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)))
    assert places is not None
    assert places.isnan().all()


def test_a_constant_has_no_places_at_all() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(1, 4, 5, 7)

    assert traced(Constant()) is None


def test_reading_along_an_axis_goes_on_straight_beyond_its_ends() -> None:
    places = torch.tensor([[2.0, 4.0, 8.0]]).expand(2, 3)
    index = torch.tensor([-1.0, 0.5, 3.0])
    assert along(places, 0, index)[0].tolist() == [0.0, 3.0, 12.0]
