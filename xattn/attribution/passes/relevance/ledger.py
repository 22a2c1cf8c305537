"""Where the relevance of a logit went: what adds up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conservation:
    """What became of the logits of some images; the first three add up to the last but one.

    Attributes:
        pixels: relevance on the input, the sum of the maps.
        constants: relevance that biases kept, and tokens, position embeddings and other tensors
            that are the same for every image.
        softmax: relevance that the softmax of attention kept.
        logits: sum of the explained logits.
        size: sum of their absolute values.
        gap: what is missing or too much, summed over batches as absolute values.
        images: how many maps they are of.
    """

    pixels: float
    constants: float
    softmax: float
    logits: float
    size: float
    gap: float
    images: int

    def __add__(self, other: Conservation) -> Conservation:
        """Count two sets of images together."""
        return Conservation(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def error(self) -> float:
        """The gap as a fraction of the logits' absolute values; 0 where there is none."""
        return self.gap / self.size if self.size else 0.0 if not self.gap else float("inf")

    def in_words(self) -> str:
        """Say where the relevance is, as fractions of the logits."""
        parts = {
            "the pixels": self.pixels,
            "biases and other constants": self.constants,
            "the softmax": self.softmax,
        }
        # Logits may cancel out, as those of two classes do.
        plain = abs(self.logits) > 1e-3 * self.size
        said = ", ".join(
            f"{value / self.logits:.2f} on {at}" if plain else f"{value:.3g} on {at}"
            for at, value in parts.items()
        )
        unit = "relevance as a fraction of the logit" if plain else "relevance"
        return f"{unit}: {said}; adds up to {self.error:.0e} ({self.images} maps)"


def pool(into: dict[str, Conservation], more: Mapping[str, Conservation]) -> None:
    """Add up by method where relevance went."""
    for name, found in more.items():
        into[name] = into[name] + found if name in into else found


class Ledger:
    """Collects what does not reach the input while relevance is propagated."""

    def __init__(self) -> None:
        self.leaves: list[Tensor] = []
        self.biases: float | Tensor = 0.0
        self.softmax: float | Tensor = 0.0

    def constant(self, value: Tensor | float, like: Tensor) -> Tensor:
        """Return a constant that is added to `like`, so that what it keeps will be known."""
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        elif not value.is_floating_point():
            value = value.to(like.dtype)
        leaf = value.detach().requires_grad_(True)
        self.leaves.append(leaf)
        return leaf

    def constants(self, slopes: list[Tensor | None]) -> float:
        """Add up what biases and other constants kept, given the slope at each leaf."""
        kept = torch.as_tensor(self.biases, dtype=torch.float64).cpu()
        for leaf, slope in zip(self.leaves, slopes, strict=True):
            if slope is not None:
                kept = kept + relevance(leaf, slope).cpu()
        return float(kept)


def relevance(value: Tensor, slope: Tensor) -> Tensor:
    """Return the sum of value times slope in float64; infinite values, as of masks, have none."""
    finite = value.detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return (finite.double() * slope.double()).sum()
