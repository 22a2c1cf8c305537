import numpy as np
import pytest
import torch

from xattn.figures.drawing import compose


def test_maps_are_upsampled_as_torch_does_it():
    native = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    ours = compose.scaled(native, 56, 64)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(native)[None, None], (56, 64), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs / native.max(), atol=1e-6)


def test_negative_attribution_counts_as_none():
    scaled = compose.scaled(np.array([[-3, 2], [0, 4]], np.float32), 2, 2)
    np.testing.assert_allclose(scaled, [[0, 0.5], [0, 1]])


@pytest.mark.parametrize(
    ("native", "words"),
    [
        (np.zeros((3, 3)), "all zero"),
        (np.full((3, 3), 0.2), "constant"),
        (np.array([[1, np.nan]]), "NaN or infinite"),
        (np.array([[1, np.inf]]), "NaN or infinite"),
        (np.array([[-1, -2.0]]), "nothing positive"),
        (np.array([[0, 1e-30]]), ""),
        (np.array([[-1, 2.0]]), ""),
    ],
)
def test_a_map_without_a_picture_is_named(native, words):
    assert compose.defect(native.astype(np.float32)) == words


def test_brighter_means_more_in_grey_too():
    colours = compose.colourise(np.linspace(0, 1, 256)[None])[0].astype(float)
    lightness = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -0.6).all()  # 8-bit rounding may stall it, never turn it
    assert lightness[-1] - lightness[0] > 200


def test_a_mesh_is_outlined_as_one_region_and_far_parts_stay_apart():
    mask = np.zeros((96, 96), bool)
    mask[10:40, 10:40:3] = mask[10:40:3, 10:40] = True
    mask[70:80, 70:80] = True
    closed = compose.envelope(mask)
    assert closed[10:38, 10:38].all()
    assert closed.sum() <= 900 + 100
    assert (closed | mask == closed).all()


def test_a_solid_mask_is_its_own_envelope():
    mask = np.zeros((96, 128), bool)
    mask[20:50, :30] = True
    np.testing.assert_array_equal(compose.envelope(mask), mask)


def test_opacity_runs_from_the_picture_to_the_map():
    picture = np.full((2, 2, 3), 200, np.uint8)
    colours = np.full((2, 2, 3), 100, np.uint8)
    values = [compose.blend(picture, colours, o)[0, 0, 0] for o in (0, 0.5, 1)]
    assert values == [200, 150, 100]
