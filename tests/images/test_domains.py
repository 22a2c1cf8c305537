"""The domain of images: seen where it can be, and never guessed in doubt."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xattn
from tests.examples import registries
from xattn.images.domains import DOMAINS, applies, checked_domain, guess_domain
from xattn.training.augmentations import AUGMENTATIONS

DATA = Path(__file__).parents[3] / "shared/data"


def drawn(name: str, rng: np.random.Generator) -> np.ndarray:
    """Draw 96 x 128 pixels of what images of a domain look like at a distance."""
    noise = rng.normal(0, 12, (96, 128, 1))
    y, x = np.mgrid[:96, :128]
    disc = (np.hypot(y - 47.5, x - 63.5) < 46)[:, :, None]
    colours = {
        "radiograph": 110 + 40 * np.sin(x / 20)[:, :, None] * np.ones(3) + noise,
        "tissue": np.array([205, 150, 205]) + 2 * noise,
        "fundus": disc * (np.array([190, 90, 45]) + noise),
        "skin": np.array([205, 160, 140]) + noise,
        "photograph": rng.integers(0, 256, (6, 8, 3)).repeat(16, 0).repeat(16, 1) + noise,
    }
    return np.clip(colours[name], 0, 255).astype(np.uint8)


def saved(folder: Path, *names: str) -> list[Path]:
    rng = np.random.default_rng(0)
    files = [folder / f"{i}_{name}.png" for i, name in enumerate(names)]
    for file, name in zip(files, names, strict=True):
        Image.fromarray(drawn(name, rng)).save(file)
    return files


@pytest.mark.parametrize("name", ["radiograph", "tissue", "fundus"])
def test_a_domain_of_its_own_look_is_seen(tmp_path, name):
    assert guess_domain(saved(tmp_path, *[name] * 12)) == name


@pytest.mark.parametrize(
    "names",
    [
        ["skin"] * 10,
        ["photograph"] * 10,
        ["tissue"] * 6 + ["skin"] * 4,
        ["radiograph"] * 8 + ["fundus"] * 4,
        [],
    ],
)
def test_nothing_is_guessed_in_doubt(tmp_path, names):
    assert guess_domain(saved(tmp_path, *names)) is None


def test_images_that_cannot_be_read_do_not_count(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert guess_domain([broken]) is None
    assert guess_domain([broken, *saved(tmp_path, *["tissue"] * 3)]) == "tissue"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
def test_real_tissue_is_seen_and_real_dermoscopy_is_taken_for_nothing_else():
    tissue = sorted((DATA / "camelyon17_patches").glob("*.png"))
    skin = sorted((DATA / "isic2018/images").glob("*.jpg"))
    assert guess_domain(tissue) == "tissue"
    for start in range(0, 200, 10):
        assert guess_domain(skin[start::200]) is None


def test_generated_dermoscopy_says_so(tmp_path):
    path = xattn.synthesize(tmp_path / "made", 2, size=(96, 128))
    assert xattn.read_annotations(path).domain == "dermoscopy"


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_names_an_augmentation_that_there_is(name):
    assert DOMAINS[name].augment in AUGMENTATIONS


@pytest.mark.parametrize("kind", ["computed feature", "detector", "layout"])
def test_what_is_for_some_domains_names_those_that_there_are(kind):
    for entry in registries()[kind].values():
        own = (entry.domain,) if kind == "layout" else entry.domains
        assert {name for name in own if name} <= set(DOMAINS)


def test_what_is_for_all_or_not_known_is_left_out_nowhere():
    assert applies((), "tissue")
    assert applies(("dermoscopy",), None)
    assert not applies(("dermoscopy",), "tissue")


def test_an_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(ValueError, match=re.escape("got 'radiology'; did you mean 'radiograph'")):
        checked_domain("radiology")
