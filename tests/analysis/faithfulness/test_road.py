"""Imputation and scores against pytorch-grad-cam's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

from tests.models.nets import Conv, wrapped
from xattn.analysis.faithfulness import road as module
from xattn.analysis.faithfulness.curves import pixel_ranks
from xattn.analysis.faithfulness.road import FRACTIONS, impute, road
from xattn.images import Cells


def smooth(n: int, channels: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    coarse = torch.randn(n, channels, 5, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=size, mode="bilinear")


@pytest.mark.parametrize("size", [(16, 16), (37, 50)])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_holes_are_filled_as_by_pytorch_grad_cam(size, fraction):
    images, maps = smooth(2, 3, size).double(), smooth(2, 1, size, seed=1)
    edge = maps.flatten(1).quantile(1 - fraction, dim=1)[:, None, None, None]
    holes = maps >= edge
    found = impute(images, holes, tolerance=1e-9)
    for image, hole, filled in zip(images, holes, found, strict=True):
        expected = NoisyLinearImputer(0)(image.float(), (~hole[0]).float())
        torch.testing.assert_close(filled.float(), expected, atol=1e-5, rtol=1e-5)


def test_pixels_that_are_there_stay_and_a_flat_image_stays_flat():
    images = torch.full((1, 3, 20, 24), 0.7)
    holes = smooth(1, 1, (20, 24)) > 0
    found = impute(smooth(1, 3, (20, 24)), holes)
    assert torch.equal(
        found[~holes.expand_as(found)], smooth(1, 3, (20, 24))[~holes.expand(1, 3, -1, -1)]
    )
    torch.testing.assert_close(impute(images, holes), images, atol=5e-3, rtol=0)


def test_a_hole_that_is_everything_is_filled_with_zero():
    found = impute(torch.ones(1, 3, 16, 16), torch.ones(1, 1, 16, 16, dtype=torch.bool))
    assert torch.equal(found, torch.zeros_like(found))


def test_scores_equal_the_peers(monkeypatch):
    monkeypatch.setattr(module, "NOISE", 0.0)
    torch.manual_seed(0)
    model = wrapped(Conv().eval())
    inputs = torch.rand(3, 3, 32, 48)
    maps = torch.rand(3, 32, 48, dtype=torch.float64)
    targets = torch.tensor([0, 1, 1])
    ranks = pixel_ranks(maps, Cells.spread(tuple(maps.shape[1:]), (32, 48)), torch.rand(3, 32 * 48))
    found = road(model, inputs, ranks, targets, ("a", "b", "c"), seed=0)
    wanted = [ClassifierOutputSoftmaxTarget(int(t)) for t in targets]
    for ours, remove in zip(
        found, (RemoveMostRelevantFirst, RemoveLeastRelevantFirst), strict=True
    ):
        theirs = [
            PerturbationConfidenceMetric(remove(100 * (1 - fraction), NoisyLinearImputer(0)))(
                inputs, maps.numpy(), wanted, model.module, return_diff=False
            )
            for fraction in FRACTIONS
        ]
        np.testing.assert_allclose(ours.numpy(), np.mean(theirs, axis=0), atol=1e-3)
