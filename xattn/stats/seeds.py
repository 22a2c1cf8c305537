"""Random numbers by name: each place of a computation draws from a generator of its own.

What one place draws then does not depend on what others drew before, in which order, or at all.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator_for(*keys: int | str) -> np.random.Generator:
    """Return the generator of these keys; other keys, an independent one.

    Texts enter by their CRC-32, which unlike `hash` is the same in every process.

    Args:
        keys: the seed and the names of the place, for instance (3, "image", 7, "hair").
    """
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.default_rng(words)


def seed_for(seed: int, *place: int) -> int:
    """Return a seed for one place of a computation, for instance an epoch or a batch of an epoch.

    Seeds of different places are unrelated, so that every step of a training is a function of
    (seed, place) alone and a training can be taken up anywhere.

    Returns:
        An integer in [0, 2**63), which torch's generators take.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=place)
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
