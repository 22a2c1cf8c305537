"""The truth is measured right of networks that are set by hand, so that it is known."""

import numpy as np
import pytest
import torch
from torch import nn

import xattn
from xattn.analysis.known.effects import true_effects
from xattn.analysis.known.scenes import (
    altered,
    annotations_in,
    draw_images,
    draw_scenes,
    images_of_scenes,
    read_scenes,
)
from xattn.analysis.known.world import World, contrasts
from xattn.annotations import read_annotations
from xattn.errors import UsageError, XattnError
from xattn.images.preprocessing import Preprocessing
from xattn.synthetic import FEATURES, render, with_features

SIZE = (64, 80)
WORLD = World(
    name="w", seed=5, shortcuts={"dark_corner": 4.0}, medicine={"globules": 3.0},
    shapes=["coarse-globules"], images=20,
)  # fmt: skip
SCENES = 6


class Corners(nn.Module):
    """Looks at how dark the four corners are, and at nothing else."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.seen.weight, 1 / 3)

    def forward(self, x):
        grey = self.seen(x)[:, 0]
        corners = [grey[:, y, x] for y in (slice(0, 4), slice(-4, None))
                   for x in (slice(0, 4), slice(-4, None))]  # fmt: skip
        bright = torch.stack([c.mean((1, 2)) for c in corners], 1).mean(1)
        return torch.stack([torch.zeros_like(bright), -4 * bright], 1)


def wrapped(network, classes=("benign", "malignant")):
    plain = Preprocessing(SIZE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return xattn.wrap(network, classes=list(classes), preprocessing=plain)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    drawn = []
    file = tmp_path_factory.mktemp("scenes") / "scenes.zip"
    draw_scenes(WORLD, SCENES, file, SIZE, lambda: drawn.append(1))
    assert len(drawn) == images_of_scenes(SCENES)
    return file


def test_changes_are_means_over_scenes_in_the_unit_that_is_given():
    grey = {"without": [100, 120, 140], "with": [110, 140, 170]}

    def read(_name, way):
        return (np.full((*SIZE, 3), value, np.uint8) for value in grey[way])

    table = true_effects(wrapped(Corners()), read, {"thing": ("without", "with")}, unit=0.5)
    # The score is -4 times the grey level of 0 to 1; the levels go up by 10, 20 and 30.
    changes = -4 * np.array([10, 20, 30]) / 255 / 0.5
    (row,) = table.to_dict("records")
    assert row["scenes"] == 3
    assert row["effect"] == pytest.approx(changes.mean(), rel=1e-4)
    assert row["error"] == pytest.approx(changes.std(ddof=1) / 3**0.5, rel=1e-4)
    assert row["size"] == pytest.approx((changes**2).mean() ** 0.5, rel=1e-4)


def test_a_network_that_looks_at_the_corners_uses_dark_corners_and_no_structure(scenes):
    def read(name, way):
        return read_scenes(scenes, name, way)

    table = true_effects(wrapped(Corners()), read, contrasts(), 0.5).set_index("feature")
    assert table.loc["dark_corner", "effect"] > 2
    assert table.loc["dark_corner", "error"] < 0.5
    for name, one in FEATURES.items():
        if one.kind == "structure":
            assert abs(table.loc[name, "effect"]) < 0.02, name
    assert set(table["scenes"]) == {SCENES}


def test_of_what_is_there_or_not_one_way_is_the_scene_as_it_is(scenes):
    first = [next(iter(read_scenes(scenes, n, w))) for n in ("hair", "ink") for w in
             ("without", "with")]  # fmt: skip
    spec = WORLD.to_measure(0)
    as_is = [("hair" in spec.present), 2 + ("ink" in spec.present)]
    assert (first[as_is[0]] == first[as_is[1]]).all()


def test_artifacts_stay_where_they_are_as_a_trait_changes():
    spec = with_features(WORLD.to_measure(0), "patches")
    mask = render(spec, SIZE).masks["patches"]
    for way in contrasts()["border_irregularity"]:
        image = altered(spec, "border_irregularity", way, SIZE)
        as_is = render(spec, SIZE).image
        # But for where a lesion that grows may lie beneath it.
        assert (image[mask] == as_is[mask]).all(axis=1).mean() > 0.95


def test_scenes_that_are_not_there_are_named(scenes):
    with pytest.raises(XattnError, match=r"scenes low age in .*scenes\.zip"):
        next(read_scenes(scenes, "age", "low"))


def test_without_a_spread_of_scores_there_is_no_unit(scenes):
    with pytest.raises(UsageError, match="a spread of 0"):
        true_effects(wrapped(Corners()), lambda _n, _w: [], {}, 0.0)


def test_images_lie_in_one_archive_with_their_exact_masks(tmp_path):
    specs = [WORLD.to_measure(i) for i in range(3)]
    file = draw_images(specs, tmp_path, SIZE, lambda: None)
    assert file == annotations_in(tmp_path)
    known = read_annotations(file)
    assert not known.problems
    for spec, image in zip(specs, known.images, strict=True):
        assert {name for name in FEATURES if image.values[name]} == spec.present
        assert set(image.masks) == spec.present
        assert image.file.parent.name == "images.zip"
    before = (tmp_path / "images.zip").read_bytes()
    draw_images(specs, tmp_path, SIZE, lambda: None)
    assert (tmp_path / "images.zip").read_bytes() == before
