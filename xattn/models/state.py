"""Bringing a state dict and an architecture together, and saying by name where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from xattn.models.registry import ARCHITECTURES, build

PREFIXES = ("model.", "module.", "net.", "backbone.", "network.", "_orig_mod.")
"""What training frameworks put before the keys; `_orig_mod.` is `torch.compile`'s."""

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


def compare(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Match:
    """Compare a state dict with the one an architecture expects, by key and shape."""
    # Older checkpoints lack the counters of batch norm, which inference does not use.
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in expected]
    common = [k for k in state if k in expected]
    reshaped = [
        f"{k}: {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}"
        for k in common
        if state[k].shape != expected[k].shape
    ]
    return Match(tuple(missing), tuple(unexpected), tuple(reshaped), len(common) - len(reshaped))


def readings(state: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return a state dict as it is, and what is left of it when framework prefixes are taken off.

    A prefix may stand before another. Keys without it belong to something else (a loss, an average
    of weights) and are left out. Which reading is meant only an architecture can tell: some have
    modules of their own called `network`.
    """
    found = [dict(state)]
    for reading in found:  # grows while it is walked
        for prefix in PREFIXES:
            rest = {k.removeprefix(prefix): v for k, v in reading.items() if k.startswith(prefix)}
            if rest:
                found.append(rest)
    return found


def best_reading(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the reading of a state dict that agrees with most of the expected keys and shapes."""
    return max(readings(state), key=lambda reading: compare(reading, expected).agreeing)


def likely_architecture(state: Mapping[str, Tensor]) -> str | None:
    """Name the known architecture whose keys and shapes a state dict resembles most.

    The classifier's shape does not count. None if not even half of the keys agree.
    """
    given = [{k: tuple(v.shape) for k, v in reading.items()} for reading in readings(state)]
    best, best_score = None, 0.5
    for name in (*ARCHITECTURES, *CANDIDATES):
        known = _shapes(name)
        for shapes in given:
            agreeing = sum(known.get(k) == shape for k, shape in shapes.items())
            score = agreeing / max(len(known), len(shapes), 1)
            if score > best_score:
                best, best_score = name, score
        if best_score > 0.97:  # all but the classifier: no other can be nearer
            break
    return best


@lru_cache(maxsize=128)
def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):  # shapes only: no memory, no initialisation
        module = build(name, 1000)
    return {k: tuple(v.shape) for k, v in module.state_dict().items()}


def count_classes(state: Mapping[str, Tensor], module: nn.Module) -> int | None:
    """Read the number of classes off the last weight matrix that `module` ends with, if there."""
    heads = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    key = f"{heads[-1]}.weight" if heads else ""
    return int(state[key].shape[0]) if key in state and state[key].ndim else None


def _some(keys: Iterable[str], n: int = 4) -> str:
    keys = list(keys)
    return ", ".join(keys[:n]) + (", ..." if len(keys) > n else "")
