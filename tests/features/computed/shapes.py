"""Lesions of known shape and colour."""

from __future__ import annotations

import numpy as np

from xattn.features.computed import Subject

SIDE = 256
SKIN, BROWN = (215, 170, 150), (110, 70, 50)


def grid(turn=0.0, shift=(0.3, 0.2), side=SIDE):
    """Coordinates (x, y) about the middle, turned by so many degrees."""
    y, x = np.mgrid[:side, :side]
    x, y = x - side / 2 + shift[0], y - side / 2 + shift[1]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return c * x + s * y, c * y - s * x


def disc(radius=60.0, **at):
    x, y = grid(**at)
    return np.hypot(x, y) < radius


def ellipse(a=80.0, b=40.0, **at):
    x, y = grid(**at)
    return (x / a) ** 2 + (y / b) ** 2 < 1


def rectangle(a=70.0, b=70.0, **at):
    x, y = grid(**at)
    return (abs(x) < a) & (abs(y) < b)


def half_disc(radius=70.0, **at):
    x, y = grid(**at)
    return (np.hypot(x, y + radius / 2) < radius) & (y + radius / 2 > 0)


def star(lobes=5, radius=60.0, depth=25.0, **at):
    x, y = grid(**at)
    return np.hypot(x, y) < radius + depth * np.cos(lobes * np.arctan2(y, x))


def comma(**at):
    """An ellipse with a bay on one side: no axis of symmetry."""
    x, y = grid(**at)
    bay = np.hypot(x - 40, y - 30) < 30
    return ((x / 85) ** 2 + (y / 50) ** 2 < 1) & ~bay


def on_skin(mask, colour=BROWN, skin=SKIN, artifacts=None):
    """A lesion of one colour on plain skin."""
    pixels = np.empty((*mask.shape, 3), np.uint8)
    pixels[:] = skin
    pixels[mask] = colour
    return Subject(pixels, mask, artifacts)
