"""Bringing a state dict and an architecture together, and saying by name where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.models.architectures.registry import ARCHITECTURES, build
from xattn.models.matching.keys import best_reading, is_derived

CANDIDATES = (
    "resnet34", "resnet50", "resnet101", "wide_resnet50_2", "resnext50_32x4d",
    "densenet121", "densenet169", "torchvision/vgg16", "torchvision/vgg16_bn",
    "torchvision/efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "torchvision/efficientnet_v2_s", "mobilenetv3_large_100", "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_large", "convnext_tiny", "torchvision/convnext_tiny",
    "torchvision/swin_t", "vit_base_patch16_224", "torchvision/vit_b_16", "inception_v3",
    "regnety_008",
)  # fmt: skip
"""Architectures beside the registered ones that a checkpoint without a name is compared with."""


@dataclass(frozen=True)
class Match:
    """How a state dict fits an architecture: key names, the misfits with both shapes."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    agreeing: int

    @property
    def perfect(self) -> bool:
        """Whether every key is there, with its shape, and no other."""
        return not (self.missing or self.unexpected or self.reshaped)

    def describe(self) -> str:
        """Name the misfits, a few of each kind."""
        parts = [
            f"{len(keys)} {kind} ({_some(keys)})"
            for kind, keys in (
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("of another shape", self.reshaped),
            )
            if keys
        ]
        return ", ".join(parts) + f"; {self.agreeing} agree"


def match_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Match:
    """Compare a state dict with the one an architecture expects, by key and shape.

    Counters, and what a network computes for itself, may be missing or be there.
    """
    missing = [k for k in expected if k not in state and not is_derived(k)]
    unexpected = [k for k in state if k not in expected and not is_derived(k)]
    common = [k for k in state if k in expected]
    reshaped = [
        f"{k}: {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}"
        for k in common
        if state[k].shape != expected[k].shape
    ]
    return Match(tuple(missing), tuple(unexpected), tuple(reshaped), len(common) - len(reshaped))


def likely_architecture(state: Mapping[str, Tensor]) -> str | None:
    """Name the known architecture whose keys and shapes a state dict resembles most.

    The classifier's shape does not count. None if not even half of the keys agree.
    """
    best, best_score = None, 0.5
    for name in (*ARCHITECTURES, *CANDIDATES):
        known = _shapes(name)
        reading = best_reading(state, known)
        score = reading.agreeing(known) / max(len(known), len(reading.state), 1)
        if score > best_score:
            best, best_score = name, score
        if best_score > 0.97:  # all but the classifier: no other can be nearer
            break
    return best


@lru_cache(maxsize=128)
def _shapes(name: str) -> dict[str, Tensor]:
    return dict(skeleton(name, 1000).state_dict())


def skeleton(name: str, n_classes: int, **options: Any) -> nn.Module:
    """Build an architecture for its keys and shapes alone: no memory, no initialisation."""
    try:
        with torch.device("meta"):
            return build(name, n_classes, **options)
    except UsageError as err:
        # RegNets, of timm in older versions too, read values of tensors while they are built.
        if "meta tensor" not in str(err).lower():
            raise
        return build(name, n_classes, **options).to("meta")


def _some(keys: Iterable[str], n: int = 4) -> str:
    keys = list(keys)
    return ", ".join(keys[:n]) + (", ..." if len(keys) > n else "")
