"""Deletion and insertion against their definition, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.images.placed import WAYS, placed, shown_slowly
from tests.models.nets import Conv, wrapped
from xattn.analysis.faithfulness.curves import BLUR, blurred, pixel_ranks, replacement_auc
from xattn.images import Cells


def test_ranks_follow_the_enlarged_map():
    maps = torch.rand(2, 4, 6)
    ranks = pixel_ranks(maps, Cells.spread((4, 6), (8, 12)), torch.rand(2, 96))
    large = F.interpolate(maps[:, None].double(), size=(8, 12), mode="bilinear")[:, 0].flatten(1)
    for rank, values in zip(ranks, large, strict=True):
        assert sorted(rank.tolist()) == list(range(96))
        assert (values[rank.argsort()].diff() <= 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_ranked_where_the_cells_lie(way):
    cells = placed((3, 5), (12, 15))[way]
    values = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    ranks = pixel_ranks(torch.from_numpy(values)[None].double(), cells, torch.rand(1, 180))[0]
    slow = shown_slowly(values, cells, 12, 15).ravel()
    assert (np.diff(slow[ranks.argsort()]) <= 1e-6).all()


def test_ties_go_in_any_order_but_that_of_memory():
    ranks = pixel_ranks(torch.zeros(1, 4, 4), Cells.spread((4, 4), (20, 20)), torch.rand(1, 400))[0]
    middle = ranks.reshape(20, 20)[:10].float().mean()
    assert abs(middle - 199.5) < 30


def slow_auc(model, start, end, ranks, target, steps):
    """One image after another, as in the paper's figure 2."""
    pixels = ranks.numel()
    order = ranks.argsort()
    curve = []
    for k in range(steps + 1):
        image = start.clone().flatten(1)
        first = order[: round(k / steps * pixels)]
        image[:, first] = end.flatten(1)[:, first]
        logits = model.module(image.reshape(1, *start.shape)).double()
        curve.append(logits.softmax(1)[0, target].item())
    return np.trapezoid(curve, dx=1 / steps)


@pytest.mark.parametrize("steps", [1, 7, 16])
def test_the_area_equals_its_definition(steps):
    torch.manual_seed(0)
    model = wrapped(Conv().eval())
    start, end = torch.randn(2, 2, 3, 32, 48)
    ranks = pixel_ranks(torch.rand(2, 4, 6), Cells.spread((4, 6), (32, 48)), torch.rand(2, 32 * 48))
    targets = torch.tensor([0, 1])
    found = replacement_auc(model, start, end, ranks, targets, steps)
    with torch.no_grad():
        expected = [
            slow_auc(model, start[i], end[i], ranks[i], int(targets[i]), steps) for i in range(2)
        ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def test_the_blur_is_opencvs():
    image = torch.rand(1, 3, 40, 60)
    sigma = BLUR * 40
    side = 2 * round(3 * sigma) + 1
    expected = cv2.GaussianBlur(
        image[0].permute(1, 2, 0).numpy(), (side, side), sigma, borderType=cv2.BORDER_REPLICATE
    )
    np.testing.assert_allclose(blurred(image)[0].permute(1, 2, 0), expected, atol=1e-5)
