"""Noise, randomised copies, and similarity of maps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.attribution.planted import Net, generate
from tests.attribution.states import Snapshot, unsettle
from tests.images.placed import WAYS, placed
from tests.models.nets import Conv, Tokens, swin, vit, wrapped
from xattn.analysis.faithfulness.controls import edge_maps, random_maps
from xattn.analysis.faithfulness.sanity import (
    DEPTHS,
    _weighted_layers,
    make_maps,
    noisy,
    randomised_models,
    relative_change,
    similarity,
)
from xattn.attribution.run.plan import make_plan
from xattn.images import Cells


def test_similarity_is_spearmans():
    first, second = torch.rand(2, 4, 5, 6, dtype=torch.float64)
    found = similarity(first, second.round(decimals=1))
    for i in range(4):
        expected = spearmanr(first[i].flatten(), second[i].round(decimals=1).flatten()).statistic
        assert found[i] == pytest.approx(expected)


def test_a_map_that_died_has_nothing_of_the_first_one_left():
    maps = torch.rand(2, 3, 3, dtype=torch.float64)
    dead = torch.stack([torch.zeros(3, 3), torch.full((3, 3), torch.nan)]).double()
    assert similarity(maps, dead).tolist() == [0, 0]
    assert np.isnan(similarity(dead, maps)).all()


def test_relative_change_goes_from_none_to_the_opposite():
    maps = torch.rand(1, 3, 3) + 0.1
    for factor, expected in ((1, 0.0), (-1, 2.0), (0, 2.0), (3, 1.0)):
        assert relative_change(maps, factor * maps).item() == pytest.approx(expected)
    assert relative_change(0 * maps, maps).isnan().all()


def test_noise_is_the_images_own_whatever_the_rest_of_the_batch():
    model, inputs = wrapped(Conv()), torch.rand(3, 3, 32, 48)
    together = [x[2] for x in noisy(model, inputs, ("a", "b", "c"), seed=0)]
    alone = [x[0] for x in noisy(model, inputs[2:], ("c",), seed=0)]
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))
    assert not torch.equal(together[0], together[1])
    assert (together[0] - inputs[2]).std().item() == pytest.approx(5 / 255, rel=0.05)


NETS = {
    "conv": (Conv, (32, 48)),
    "tokens": (Tokens, (32, 48)),
    "vit": (vit, (32, 48)),
    "swin": (swin, (32, 32)),
}


@pytest.mark.parametrize("name", NETS)
def test_layers_go_from_the_logits_to_the_image_and_the_users_model_stays(name):
    make, size = NETS[name]
    model = wrapped(make(), size)
    unsettle(model.module)
    before = Snapshot(model.module)
    layers = _weighted_layers(model)
    assert layers[0] in ("fc", "head", "head.fc")
    weighted = [n for n, p in model.module.named_modules() if list(p.parameters(recurse=False))]
    assert sorted(weighted) == sorted(layers)
    inputs = torch.rand(4, 3, *size)
    changed = []
    for _, copied in randomised_models(model, lambda: iter([inputs]), seed=0):
        theirs, ours = model.module.state_dict(), copied.module.state_dict()
        weights = [k for k, _ in model.module.named_parameters()]
        changed.append({k for k in weights if not torch.equal(theirs[k], ours[k])})
        for key in weights:  # shuffled, not drawn
            assert torch.equal(ours[key].flatten().sort()[0], theirs[key].flatten().sort()[0])
        assert torch.isfinite(copied.logits(inputs)).all()
        assert not copied.module.training
    before.check(model.module)
    assert len(changed) == len(DEPTHS)
    # Weights that are all the same, as of a new norm, are not changed by shuffling.
    assert all(a <= b for a, b in pairwise(changed))
    assert changed[0] < changed[-1]
    assert all(k.startswith(layers[0]) for k in changed[0])


def test_batch_norms_are_given_the_statistics_of_what_reaches_them():
    model = wrapped(Net().eval(), (48, 48))
    inputs = model.normalise(torch.from_numpy(generate(16, 0).images))
    *_, (_, copied) = randomised_models(model, lambda: iter([inputs]), seed=0)
    seen = copied.module.conv1(inputs)
    torch.testing.assert_close(copied.module.norm1.running_mean, seen.mean((0, 2, 3)))
    assert copied.module.norm1.momentum == 0.1


def test_maps_are_those_of_explain_for_the_given_classes():
    torch.manual_seed(0)
    model = wrapped(Conv().eval())
    plan = make_plan(model, ["gradcam", "hirescam"], ["predicted"], {})
    inputs = torch.rand(2, 3, 32, 48)
    first = make_maps(model, plan, inputs, [torch.tensor([0, 0])])
    other = make_maps(model, plan, inputs, [torch.tensor([1, 1])])
    assert set(first) == {"gradcam", "hirescam"}
    assert not torch.equal(first["hirescam"], other["hirescam"])


def test_controls_know_the_edges_or_nothing():
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1
    edges = edge_maps(image, Cells.spread((4, 4), (32, 32)))[0]
    assert (edges[:, 1:3] > 0).all()
    assert (edges[:, [0, 3]] == 0).all()
    a, b = random_maps(("a", "b"), (4, 4), seed=0), random_maps(("b",), (4, 4), seed=0)
    assert torch.equal(a[1], b[0])
    assert not torch.equal(random_maps(("b",), (4, 4), 0, "again"), b)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("grid", [(4, 6), (1, 1), (5, 7)])
def test_edges_of_a_cell_are_those_of_the_pixels_nearest_to_it(way, grid):
    cells = placed(grid, (32, 48))[way]
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    found = edge_maps(image, cells)[0].numpy()
    fine = edge_maps(image, Cells.spread((32, 48), (32, 48)))[0].numpy()

    def own(centres: tuple[float, ...], pixels: int, cell: int) -> np.ndarray:
        # A pixel that reaches over the middle between two cells belongs to both.
        low = -np.inf if cell == 0 else (centres[cell - 1] + centres[cell]) / 2
        high = np.inf if cell == len(centres) - 1 else (centres[cell] + centres[cell + 1]) / 2
        places = np.arange(pixels)
        inside = places[(places + 0.5 > low + 1e-6) & (places - 0.5 < high - 1e-6)]
        return inside if len(inside) else np.array([0 if high < 0 else pixels - 1])

    for r in range(grid[0]):
        for c in range(grid[1]):
            part = fine[np.ix_(own(cells.y, 32, r), own(cells.x, 48, c))]
            assert found[r, c] == pytest.approx(part.mean())


@pytest.mark.parametrize("grid", [(4, 6), (5, 7), (1, 1), (32, 48)])
def test_edges_of_cells_spread_evenly_are_pooled_as_torch_pools(grid):
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    fine = edge_maps(image, Cells.spread((32, 48), (32, 48)))
    pooled = torch.nn.functional.adaptive_avg_pool2d(fine[:, None], grid)[:, 0]
    torch.testing.assert_close(edge_maps(image, Cells.spread(grid, (32, 48))), pooled)
