"""The perceptron of a transformer's blocks, told by its keys and shapes: plain, or gated.

A gated one is SwiGLU (Shazeer 2020, arXiv:2002.05202): two layers for gate and values, or both
packed into one. Which function the gate has leaves no trace; it is SiLU in all that timm publishes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

_AT = "blocks.0.mlp."
GATE = "the gate of its perceptrons taken as SiLU (SwiGLU)"


@dataclass(frozen=True)
class Perceptron:
    """What keys and shapes tell of a perceptron.

    Attributes:
        kind: "split" has a layer each for gate and values, "packed" one for both.
        width, hidden: of its input, and of its values behind the gate.
        norm: whether there is a norm before its last layer.
    """

    kind: Literal["plain", "split", "packed"]
    width: int
    hidden: int
    norm: bool


def perceptron_of(keys: Mapping[str, Tensor]) -> Perceptron | None:
    """Return the perceptron of a network's first block; None if it has none that is known.

    Args:
        keys: weights by their keys, without a prefix.
    """
    first, last = keys.get(f"{_AT}fc1.weight"), keys.get(f"{_AT}fc2.weight")
    gate, norm = keys.get(f"{_AT}fc1_g.weight"), f"{_AT}norm.weight" in keys
    if last is None or last.ndim != 2:
        return None
    width, hidden = last.shape
    if gate is not None and gate.shape == (hidden, width):
        return Perceptron("split", width, hidden, norm)
    if first is not None and first.shape == (2 * hidden, width):
        return Perceptron("packed", width, hidden, norm)
    if first is not None and first.shape == (hidden, width):
        return Perceptron("plain", width, hidden, norm)
    return None


def options_of_vit(here: Perceptron, there: Perceptron) -> dict[str, Any]:
    """Return the options of timm's `VisionTransformer` by which one differs from another.

    Args:
        here: of the weights.
        there: of the architecture as published.
    """
    found: dict[str, Any] = {}
    words = {"plain": "mlp", "split": "swiglu", "packed": "swiglu_packed"}
    if here.kind != there.kind:
        found["mlp_layer"] = words[here.kind]
    if (here.kind, here.hidden) != (there.kind, there.hidden):
        first = 2 * here.hidden if here.kind == "packed" else here.hidden
        found["mlp_ratio"] = _ratio(first, here.width)
    if here.norm != there.norm:
        found["scale_mlp_norm"] = here.norm
    return found


def options_of_eva(here: Perceptron, there: Perceptron) -> dict[str, Any]:
    """Return the options of timm's `Eva`, EVA and DINOv3, by which one differs from another.

    Args:
        here: of the weights.
        there: of the architecture as published.
    """
    if here == there:
        return {}
    # Without a norm timm splits the layers only where it is told a multiple for their width.
    multiple = int(here.kind == "split" and not here.norm)
    return {
        "swiglu_mlp": here.kind != "plain",
        "swiglu_align_to": multiple,
        "scale_mlp": here.norm,
        "mlp_ratio": _ratio(here.hidden, here.width),
    }


def _ratio(hidden: int, width: int) -> float:
    """Return a ratio of which timm makes that hidden width again, which it rounds down."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)
