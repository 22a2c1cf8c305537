"""From what was drawn about a patch to its pixels and masks: stain, artifacts, scanner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.errors import UsageError
from xattn.stats.seeds import generator_for
from xattn.synthetic.noise import Field, fractal
from xattn.synthetic.rendering import Rendered
from xattn.synthetic.tissue.cells import Cells, draw_cells
from xattn.synthetic.tissue.plan import ARTIFACTS, NUCLEI, TissueSpec

SMALLEST = 48

# Optical density of haematoxylin and eosin in red, green and blue (Ruifrok and Johnston 2001).
_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], np.float32)
_EOSIN = np.array([0.07, 0.99, 0.11], np.float32)


@dataclass(frozen=True)
class Center:
    """How a centre's patches look.

    Attributes:
        haematoxylin, eosin: amounts of stain, 1 for the usual.
        blur: standard deviation in pixels of a patch of 96.
        white: of empty glass, red, green and blue in [0, 1].
        gamma: of the scanner.
        noise: standard deviation, of 1.
    """

    haematoxylin: float
    eosin: float
    blur: float
    white: tuple[float, float, float]
    gamma: float
    noise: float


CENTERS = (
    Center(1.00, 0.85, 0.45, (0.93, 0.91, 0.94), 1.00, 0.008),
    Center(0.70, 0.75, 0.75, (0.95, 0.93, 0.97), 0.90, 0.010),
    Center(1.30, 1.30, 0.35, (0.91, 0.85, 0.88), 1.10, 0.014),
    Center(0.85, 1.10, 0.60, (0.94, 0.90, 0.90), 1.00, 0.006),
    Center(1.15, 0.65, 0.50, (0.90, 0.90, 0.96), 1.05, 0.010),
)


def render_tissue(spec: TissueSpec, size: tuple[int, int] = (96, 96)) -> Rendered:
    """Draw a patch with its masks; the same spec and size give the same pixels.

    The mask of an artifact holds the pixels whose 8-bit value is another without it; that of the
    nuclei, the pixels that they cover by half or more before the scanner blurs them, where no
    artifact lies; `lesion` is where tumour grows.

    Args:
        spec: from `TissuePlan.draw`.
        size: (height, width) in pixels, each at least 48.

    Raises:
        UsageError: the size is too small.
    """
    check_tissue_size(size)
    cells = draw_cells(spec, size)
    image = _photograph(spec, cells, size)
    masks = {}
    hidden = np.zeros(size, dtype=bool)
    for name in ARTIFACTS:
        if name in spec.present:
            bare = replace(spec, present=spec.present - {name})
            masks[name] = np.any(_photograph(bare, cells, size) != image, axis=-1)
            hidden |= masks[name]
    return Rendered(image, cells.growth, {NUCLEI: (cells.nuclei >= 0.5) & ~hidden, **masks})


def check_tissue_size(size: tuple[int, int]) -> None:
    """Raise `UsageError` if patches of this (height, width) cannot be drawn."""
    if min(size) < SMALLEST:
        raise UsageError(
            f"Expected a size of at least {SMALLEST} x {SMALLEST} pixels, but got "
            f"{size[0]} x {size[1]}"
        )


def _photograph(spec: TissueSpec, cells: Cells, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the patch, uint8 (height, width, 3)."""
    center = CENTERS[spec.center]
    slide = generator_for(spec.seed, "slide", spec.slide, "look")
    rng = generator_for(spec.seed, "patch", spec.index, "scanner")
    mottled, grain = fractal(rng, size, 5, 2), rng.standard_normal((*size, 3), dtype=np.float32)
    own = np.exp(slide.normal(0, 0.08, 2))
    more = np.exp(0.14 * spec.traits["stain"]) * (1 + spec.strength.get("stain", 0.0))
    haematoxylin = 1.56 * cells.chromatin + 0.10 * cells.body * (1 - cells.nuclei)
    haematoxylin *= np.float32(center.haematoxylin * own[0] * more)
    eosin = cells.body * (1 - 0.75 * cells.nuclei) * (0.50 + 0.06 * mottled)
    eosin *= np.float32(center.eosin * own[1])
    density = haematoxylin[..., None] * _HAEMATOXYLIN + eosin[..., None] * _EOSIN
    if "fold" in spec.present:  # two layers of tissue, one on the other
        fold = _drawn("fold", spec, size, _fold)[..., None]
        density = density * (1 + np.float32(0.9) * fold) + np.float32(0.12) * fold
    light = np.exp(-density) * np.asarray(center.white, np.float32)
    for name, draw, colour in (("bubble", _bubble, (0.86, 0.84, 0.86)), ("pen", _pen, None)):
        if name in spec.present:
            alpha = _drawn(name, spec, size, draw)[..., None]
            ink = np.asarray(colour or _ink(spec), np.float32)
            light = light * (1 - alpha) + alpha * ink
    blur = center.blur * min(size) / 96 * (1 + spec.strength.get("blur", 0.0))
    seen = cv2.GaussianBlur(light.astype(np.float32), (0, 0), blur) ** np.float32(center.gamma)
    seen += np.float32(center.noise) * grain
    return np.asarray(np.clip(seen * 255 + 0.5, 0, 255), dtype=np.uint8)


def _drawn(
    name: str,
    spec: TissueSpec,
    size: tuple[int, int],
    draw: Callable[[np.random.Generator, tuple[int, int]], Field],
) -> Field:
    rng = generator_for(spec.seed, "patch", spec.index, "artifact", name)
    return draw(rng, size) * np.float32(spec.strength.get(name, 1.0))


def _band(rng: np.random.Generator, size: tuple[int, int], width: float, wave: float) -> Field:
    """Return a band across the patch, 1 in its middle, that bends a little."""
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    x = cols - size[1] * rng.uniform(0.25, 0.75)
    y = rows - size[0] * rng.uniform(0.25, 0.75)
    along = x * np.cos(angle) + y * np.sin(angle)
    bend = wave * np.sin(along / (0.25 * min(size)) + rng.uniform(0, 2 * np.pi))
    across = -x * np.sin(angle) + y * np.cos(angle) - bend
    return np.asarray(np.clip(1.5 - 1.5 * np.abs(across) / width, 0, 1), np.float32)


def _fold(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    return _band(rng, size, min(size) * rng.uniform(0.06, 0.11), min(size) * 0.05)


def _pen(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    opacity = np.float32(rng.uniform(0.55, 0.85))
    return _band(rng, size, min(size) * rng.uniform(0.08, 0.16), min(size) * 0.02) * opacity


def _ink(spec: TissueSpec) -> tuple[float, float, float]:
    inks = ((0.10, 0.15, 0.45), (0.05, 0.35, 0.20), (0.08, 0.08, 0.10))
    return inks[int(generator_for(spec.seed, "patch", spec.index, "ink").integers(len(inks)))]


def _bubble(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """Air under the cover slip: a bright border, and paler within."""
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    radius = min(size) * rng.uniform(0.12, 0.26)
    x, y = size[1] * rng.uniform(0.2, 0.8), size[0] * rng.uniform(0.2, 0.8)
    r = np.hypot(cols - x, rows - y) / np.float32(radius)
    border = np.exp(-((r - 1) ** 2) / 0.008) * 0.85
    within = np.where(r < 1, 0.22, 0.0)
    alpha = np.maximum(border, within).astype(np.float32)
    return np.asarray(np.where(alpha > 0.02, alpha, 0), np.float32)
