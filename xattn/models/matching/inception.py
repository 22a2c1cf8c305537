"""Inception and GoogLeNet: classifiers for training alone, and an input that is rescaled inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from xattn.images.preprocessing import IMAGENET_MEAN, IMAGENET_STD

OPTIONS: dict[str, dict[str, Any]] = {
    "torchvision/inception_v3": {
        "aux_logits": False, "transform_input": True, "init_weights": False,
    },
    "torchvision/googlenet": {
        "aux_logits": False, "transform_input": True, "init_weights": False,
    },
}  # fmt: skip
"""Torchvision's published weights of these rescale their input; who fine-tunes them inherits it."""


def _undone() -> str:
    """Options under which the rescaling inside makes ImageNet's normalisation of the pixels."""
    pairs = list(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    mean = ",".join(f"{m + s * (m - 0.5) / 0.5:.4f}" for m, s in pairs)
    return f"--mean {mean} --std " + ",".join(f"{s * s / 0.5:.4f}" for _, s in pairs)


NOTES = {
    name: (
        "its input is rescaled inside (transform_input), as in torchvision's published weights; "
        f"for one trained from scratch without that: {_undone()}",
    )
    for name in OPTIONS
}

_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")


def has_auxiliary(state: Mapping[str, Tensor]) -> bool:
    """Whether weights have classifiers that are used in training alone."""
    return any(map(_is_auxiliary, state))


def _is_auxiliary(key: str) -> bool:
    return any(f".{name}" in f".{key}" for name in _AUXILIARY)


def without_auxiliary(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave those out of the weights of the architecture `name`, if it is one that has them."""
    if not name.endswith(("inception_v3", "googlenet")):
        return state
    return {k: v for k, v in state.items() if not _is_auxiliary(k)}
