from __future__ import annotations

import numpy as np
import pytest

from xattn.synthetic.layers import EDGE, Camera, Frame, Layer, absorb, compose, cover

H, W = 6, 9


def test_pigment_absorbs_by_its_optical_density():
    layer = absorb(np.full((H, W), 0.5, np.float32), Frame(0, 0, (H, W), W), (1.0, 2.0, 4.0))
    assert np.allclose(layer.gain, np.exp([[-0.5], [-1.0], [-2.0]]))
    assert layer.offset is None


def test_a_cover_mixes_its_colour_in_by_alpha():
    layer = cover(np.full((H, W), 0.25, np.float32), Frame(0, 0, (H, W), W), (1.0, 0.5, 0.0))
    before = np.full((3, H * W), 0.8, np.float32)
    after = before[:, layer.pixels] * layer.gain + layer.offset
    assert np.allclose(after[:, 0], 0.75 * 0.8 + 0.25 * np.array([1.0, 0.5, 0.0]))


@pytest.mark.parametrize("make", [absorb, lambda a, f: cover(a, f, (0.1, 0.2, 0.3))])
def test_nothing_is_drawn_up_to_the_edge_threshold(make):
    values = np.zeros((H, W), np.float32)
    values[0, 0], values[2, 3] = EDGE, EDGE * 1.01
    assert make(values, Frame(0, 0, (H, W), W)).pixels.tolist() == [2 * W + 3]


def test_a_frame_puts_its_pixels_at_their_place_in_the_image():
    image = np.zeros((H, W), np.bool_)
    frame = Frame(2, 4, (3, 5), W)
    image.ravel()[frame.to_image(np.arange(15))] = True
    assert image[2:5, 4:9].all()
    assert image.sum() == 15


def test_composing_gives_the_image_and_masks_of_drawing_each_one_again():
    rng = np.random.default_rng(0)
    skin = rng.random((3, H * W)).astype(np.float32)
    camera = Camera(
        rng.uniform(0.5, 1.2, (3, H * W)).astype(np.float32),
        rng.normal(0, 0.02, H * W).astype(np.float32),
    )
    features = [[_random_layer(rng) for _ in range(1 + k % 2)] for k in range(5)]
    image, masks = compose(skin, features, camera)
    assert np.array_equal(image, _drawn(skin, features, camera))
    for k, mask in enumerate(masks):
        without = _drawn(skin, features[:k] + features[k + 1 :], camera)
        assert np.array_equal(mask, (image != without).any(axis=0))
        assert mask.any()


def test_what_is_wholly_covered_later_is_in_no_mask():
    frame = Frame(0, 0, (H, W), W)
    below = [absorb(np.ones((H, W), np.float32), frame)]
    lid = np.zeros((H, W), np.float32)
    lid[:, :4] = 1
    above = [cover(lid, frame, (0.2, 0.9, 0.4))]
    skin = np.full((3, H * W), 0.8, np.float32)
    plain = Camera(np.ones((3, H * W), np.float32), np.zeros(H * W, np.float32))
    _, (hidden, lid_mask) = compose(skin, [below, above], plain)
    assert np.array_equal(hidden.reshape(H, W), lid == 0)
    assert np.array_equal(lid_mask.reshape(H, W), lid == 1)


def _random_layer(rng: np.random.Generator) -> Layer:
    pixels = np.flatnonzero(rng.random(H * W) < 0.4)
    gain = rng.uniform(0.2, 1, (int(rng.choice([1, 3])), pixels.size)).astype(np.float32)
    offset = rng.uniform(0, 0.3, (3, pixels.size)).astype(np.float32)
    return Layer(pixels, gain, offset if rng.random() < 0.7 else None)


def _drawn(skin: np.ndarray, features: list[list[Layer]], camera: Camera) -> np.ndarray:
    """The obvious twin: pixel by pixel and channel by channel."""
    image = skin.copy()
    for layer in (layer for layers in features for layer in layers):
        for k, pixel in enumerate(layer.pixels):
            for c in range(3):
                gain = layer.gain[c if len(layer.gain) == 3 else 0, k]
                offset = np.float32(0) if layer.offset is None else layer.offset[c, k]
                image[c, pixel] = np.float32(image[c, pixel] * gain) + offset
    exposed = np.clip(image * camera.light + camera.noise, 0, 1)
    return (exposed * np.float32(255) + np.float32(0.5)).astype(np.uint8)
