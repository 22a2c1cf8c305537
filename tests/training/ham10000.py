"""The sizes of HAM10000's lesions, and columns like those that come with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LESIONS = {"nv": 5403, "bkl": 727, "mel": 614, "bcc": 327, "akiec": 228, "vasc": 98, "df": 73}
IMAGES = {"nv": 6705, "bkl": 1099, "mel": 1113, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}
SIZES = {1: 5514, 2: 1423, 3: 490, 4: 34, 5: 5, 6: 4}
"""Images of a lesion -> number of lesions."""


def lesions() -> tuple[NDArray[np.str_], NDArray[np.intp]]:
    """Return the label and the number of images of each lesion: (lesions,) each."""
    rng = np.random.default_rng(0)
    names = list(LESIONS)
    extra = np.array([IMAGES[name] - LESIONS[name] for name in names])
    left = dict(LESIONS)
    labels, sizes = [], []
    for size in sorted(SIZES, reverse=True)[:-1]:
        for _ in range(SIZES[size]):
            able = np.where(extra >= size - 1, extra, 0)
            one = rng.choice(len(names), p=able / able.sum())
            extra[one] -= size - 1
            left[names[one]] -= 1
            labels.append(names[one])
            sizes.append(size)
    for label, n in left.items():
        labels += [label] * n
        sizes += [1] * n
    return np.array(labels), np.array(sizes, dtype=np.intp)


def columns(
    labels: NDArray[np.str_], sizes: NDArray[np.intp], seed: int = 0
) -> dict[str, NDArray[np.str_]]:
    """Return columns by lesion: how the diagnosis was made, the site, and a coin's side."""
    rng = np.random.default_rng(seed)
    histology = np.where(np.isin(labels, ("mel", "bcc", "akiec")), 1.0, 0.5)
    histology = np.where(labels == "nv", np.where(sizes > 1, 0.85, 0.25), histology)
    other = rng.choice(["follow_up", "consensus"], len(labels), p=(0.8, 0.2))
    dx_type = np.where(rng.random(len(labels)) < histology, "histo", other)
    site = rng.choice(["back", "leg", "face", "trunk", "hand"], len(labels))
    site = np.where((labels == "akiec") & (rng.random(len(labels)) < 0.6), "face", site)
    return {"dx_type": dx_type, "site": site, "coin": rng.choice(["a", "b"], len(labels))}
