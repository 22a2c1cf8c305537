import numpy as np
import pytest
from PIL import Image

from xattn.features.computed.frame import read_framed, whole_image
from xattn.images import sample_mask


@pytest.mark.parametrize(
    ("size", "framed"),
    [((1024, 600), (256, 150)), ((300, 1200), (64, 256)), ((200, 90), (200, 90))],
)
def test_images_keep_their_aspect_and_lose_what_exceeds_the_frame(tmp_path, size, framed):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    for ending in ("png", "jpg"):
        Image.fromarray(noise).save(tmp_path / f"a.{ending}")
        pixels, original = read_framed(tmp_path / f"a.{ending}")
        assert pixels.shape == (framed[1], framed[0], 3)
        assert original == size


def test_masks_lie_over_their_images(tmp_path):
    mask = np.zeros((400, 800), bool)
    mask[100:300, 500:700] = True
    pixels = np.where(mask[..., None], 40, 220).astype(np.uint8).repeat(3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    framed, size = read_framed(tmp_path / "a.png")
    lesion = sample_mask(mask, whole_image(size), size)
    assert lesion.shape == framed.shape[:2]
    assert ((framed[..., 0] < 130) == lesion).mean() > 0.995
