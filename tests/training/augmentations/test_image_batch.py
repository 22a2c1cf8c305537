from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from skimage.color import hed2rgb, rgb2hed

from xattn.training.augmentations import AUGMENTATIONS
from xattn.training.augmentations._stain import blurred, jitter
from xattn.training.augmentations.image_batch import ImageAugmentation, _grid

NAMED = {name: one.change for name, one in AUGMENTATIONS.items() if one.change is not None}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(n: int = 6, h: int = 8, w: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand((n, 3, h, w), generator=chance(seed))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (7, 5)])
def test_images_keep_their_shape_and_range_and_the_originals_stay(name, size):
    images = random_images(5, *size)
    before = images.clone()
    changed = NAMED[name](images, chance())
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", NAMED)
def test_the_generator_is_the_only_source_of_chance(name):
    images = random_images()
    torch.manual_seed(1)
    first = NAMED[name](images, chance(7))
    torch.manual_seed(2)
    assert torch.equal(first, NAMED[name](images, chance(7)))
    assert not torch.equal(first, NAMED[name](images, chance(8)))


def test_without_amounts_nothing_changes():
    images = random_images(4, 6, 10)
    assert torch.allclose(ImageAugmentation()(images, chance()), images, atol=1e-5)


@pytest.mark.parametrize(("size", "positions"), [((8, 8), 8), ((6, 10), 4)])
def test_flips_and_quarter_turns_reach_every_position_of_the_input_and_no_other(size, positions):
    image = random_images(1, *size)
    turned = [torch.rot90(image, k, (2, 3)) for k in range(4)]
    known = [t for one in turned for t in (one, one.flip(-1)) if t.shape == image.shape]
    assert len(known) == positions

    batch = image.expand(200, -1, -1, -1)
    changed = ImageAugmentation(flips=True, quarter_turns=True)(batch, chance())

    distance = torch.stack([(changed - one).abs().amax((1, 2, 3)) for one in known])
    assert distance.min(0).values.max() < 1e-5
    assert set(distance.argmin(0).tolist()) == set(range(positions))


def test_a_turned_point_goes_where_geometry_says_on_images_of_any_aspect():
    image = torch.zeros(1, 3, 40, 80)
    image[:, :, 19:21, 56:60] = 1.0  # 18 pixels right of the centre
    turned = ImageAugmentation(rotation=30.0)(image.expand(50, -1, -1, -1), chance())

    ys, xs = torch.meshgrid(torch.arange(40) + 0.5 - 20, torch.arange(80) + 0.5 - 40, indexing="ij")
    mass = turned[:, 0].sum((1, 2))
    x, y = (turned[:, 0] * xs).sum((1, 2)) / mass, (turned[:, 0] * ys).sum((1, 2)) / mass
    assert torch.allclose(torch.hypot(x, y), torch.tensor(18.0), atol=0.2)
    angle = torch.atan2(y, x) * 180 / math.pi
    assert angle.abs().max() <= 30.5
    assert angle.min() < -20
    assert angle.max() > 20


def test_zoom_and_shift_move_by_their_amounts():
    ramp = torch.linspace(-1, 1, 101).expand(1, 3, 101, 101) / 4 + 0.5
    doubled = ImageAugmentation(zoom=(2.0, 2.0))(ramp, chance())
    assert torch.allclose(doubled, (ramp - 0.5) / 2 + 0.5, atol=1e-4)

    moved = ImageAugmentation(shift=0.1)(ramp.expand(300, -1, -1, -1), chance())
    by = (moved[:, 0, 50, 50] - 0.5) * 4 / 2  # in fractions of the side
    assert by.abs().max() <= 0.1 + 1e-3
    assert by.min() < -0.09
    assert by.max() > 0.09


def test_the_grid_equals_the_librarys():
    motion = torch.rand((5, 2, 3), generator=chance()) - 0.5
    for h, w in ((8, 8), (6, 11)):
        aspect = torch.tensor([[1.0, h / w, 1.0], [w / h, 1.0, 1.0]])
        expected = F.affine_grid(motion * aspect, [5, 3, h, w], align_corners=False)
        assert torch.allclose(_grid(motion, h, w), expected, atol=1e-6)


def slow_recolour(image, gain, contrast, saturation):
    """The same change, one step after the other, as its documentation says it."""
    image = image * gain[:, None, None]
    image = (image - image.mean()) * contrast + image.mean()
    grey = image.mean(0, keepdim=True)
    return (image - grey) * saturation + grey


def test_colours_change_as_gain_then_contrast_then_saturation():
    class Fixed:
        """Draws that are known: brightness, white balance, contrast, saturation, in turn."""

        def __init__(self):
            self.values = [
                torch.tensor([[0.9], [1.1]]),
                torch.tensor([[0.95, 1.0, 1.05], [1.0, 0.9, 1.0]]),
                torch.tensor([[0.8], [1.15]]),
                torch.tensor([[0.5], [1.3]]),
            ]

        def factor(self, amount, channels):
            return self.values.pop(0)

    images = random_images(2) * 0.4 + 0.3
    values = Fixed().values
    matrix, offset = ImageAugmentation()._colours(Fixed(), images.mean((2, 3)))
    changed = torch.baddbmm(offset, matrix, images.flatten(2)).reshape(images.shape)
    for i in range(2):
        gain = values[0][i] * values[1][i]
        expected = slow_recolour(images[i], gain, values[2][i], values[3][i])
        assert torch.allclose(changed[i], expected, atol=1e-6)


def test_stains_of_tissue_change_in_their_amounts_alone():
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.01, 0.15, (1, 50, 3))  # in scikit-image's unit, logarithms to 1e-6
    factors, offsets = rng.uniform(0.9, 1.1, 3), rng.uniform(0.0, 0.1, 3)
    before = hed2rgb(amounts)[0].T
    after = jitter(*(torch.tensor(x)[None] for x in (before, factors, offsets)))[0]

    again = rgb2hed(after.T[None].numpy())
    assert again == pytest.approx(amounts * factors + offsets / np.log(1e6), abs=1e-6)


def test_stains_left_alone_leave_the_image():
    image = torch.rand(2, 3, 40, generator=torch.Generator().manual_seed(0))
    same = jitter(image, torch.ones(2, 3), torch.zeros(2, 3))
    assert torch.allclose(same, image, atol=1e-5)


def test_each_image_is_blurred_by_its_own_gaussian():
    images = np.random.default_rng(0).random((3, 2, 20, 24))
    sigmas = [0.0, 0.6, 1.0]
    ours = blurred(torch.tensor(images), torch.tensor(sigmas, dtype=torch.float64)).numpy()
    for image, sigma, result in zip(images, sigmas, ours, strict=True):
        filters = {"mode": "mirror", "radius": 3, "axes": (1, 2)}
        expected = gaussian_filter(image, sigma, **filters) if sigma else image
        assert result == pytest.approx(expected, abs=1e-10)


def test_tissue_keeps_its_scale_and_is_turned_by_quarters():
    still = replace(NAMED["histology"], brightness=0, contrast=0, stain=0, blur=0)
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    turned = [torch.rot90(side, k, (2, 3)) for side in (image, image.flip(3)) for k in range(4)]
    for seed in range(12):
        result = still(image, torch.Generator().manual_seed(seed))
        assert any(torch.allclose(result, one, atol=1e-5) for one in turned)


def test_mirrored_left_to_right_is_never_upside_down():
    image = random_images(1)
    changed = ImageAugmentation(mirror=True)(image.expand(60, -1, -1, -1), chance())
    known = torch.stack([(changed - one).abs().amax((1, 2, 3)) for one in (image, image.flip(-1))])
    assert known.min(0).values.max() < 1e-5
    assert set(known.argmin(0).tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["radiograph", "fundus", "natural"])
def test_what_has_an_up_keeps_it(name):
    image = torch.linspace(1, 0, 32)[:, None].expand(1, 3, 32, 32)  # bright above, dark below
    changed = NAMED[name](image.expand(80, -1, -1, -1), chance())
    assert (changed[:, :, :8].mean((1, 2, 3)) > changed[:, :, -8:].mean((1, 2, 3))).all()
