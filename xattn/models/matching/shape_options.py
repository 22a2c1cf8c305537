"""Options of a vision transformer that its keys and shapes tell: tokens, pooling, depth, norms.

A training may build the architecture that it names with registers, without a class token, with
another depth or another pooling. What leaves no trace in the weights (the number of heads, an
average without a norm of its own) cannot be told, and is as the architecture was published.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from xattn.models.matching.keys import unwrapped

_PRESENT: tuple[tuple[str, str, Any, Any], ...] = (
    ("fc_norm.weight", "global_pool", "avg", "token"),
    ("blocks.0.ls1.gamma", "init_values", 1e-5, None),
    ("blocks.0.attn.qkv.bias", "qkv_bias", True, False),
    ("blocks.0.attn.q_norm.weight", "qk_norm", True, False),
    ("norm_pre.weight", "pre_norm", True, False),
    ("cls_token", "class_token", True, False),
)
"""A key, the option that it tells, and the option's value where it is there and where it is not."""
_PATCHES = "patch_embed.proj.weight"


def shape_options(states: Sequence[Mapping[str, Tensor]], module: nn.Module) -> dict[str, Any]:
    """Return the options by which weights differ from an architecture as it is published.

    Args:
        states: sets of weights, under any prefix; the first that is of such a network is taken.
        module: the architecture, on any device; only timm's `VisionTransformer` is known.

    Returns:
        Options of its builder; empty if there are none, or it is another network.
    """
    if type(module).__name__ != "VisionTransformer":
        return {}
    state = next((inside for one in states if (inside := _own_keys(unwrapped(one)))), None)
    if state is None:
        return {}
    expected = module.state_dict()
    found = {
        option: here if key in state else away
        for key, option, here, away in _PRESENT
        if (key in state) != (key in expected)
    }
    if "fc_norm.weight" not in state and "norm.weight" not in state:
        found.pop("global_pool", None)  # a training that keeps neither says nothing of it
    if found.get("class_token") is False:
        found["global_pool"] = "avg"
        found["fc_norm"] = "fc_norm.weight" in state
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    if registers != (expected["reg_token"].shape[1] if "reg_token" in expected else 0):
        found["reg_tokens"] = registers
    found |= _sizes(state, expected)
    classes = int("cls_token" in state)
    if found.keys() & {"reg_tokens", "class_token"} and _without_prefix(state, classes + registers):
        found["no_embed_class"] = True
    return found


def _own_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what stands before the keys of a vision transformer; empty if it is none."""
    key = next((key for key in state if key.endswith(_PATCHES)), None)
    prefix = "" if key is None else key.removesuffix(_PATCHES)
    if key is None or f"{prefix}blocks.0.attn.qkv.weight" not in state:
        return {}
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _sizes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return depth and width of the perceptron, where they differ."""
    numbers = [int(m[1]) for key in state if (m := re.match(r"blocks\.(\d+)\.", key))]
    known = [int(m[1]) for key in expected if (m := re.match(r"blocks\.(\d+)\.", key))]
    found: dict[str, Any] = {}
    if max(numbers) != max(known) and len(set(numbers)) == max(numbers) + 1:
        found["depth"] = max(numbers) + 1
    hidden = state.get("blocks.0.mlp.fc1.weight")
    if hidden is not None and hidden.shape != expected["blocks.0.mlp.fc1.weight"].shape:
        found["mlp_ratio"] = hidden.shape[0] / hidden.shape[1]
    return found


def _without_prefix(state: Mapping[str, Tensor], prefix: int) -> bool:
    """Whether there are position embeddings of the patches alone."""
    embedded = state.get("pos_embed")
    if embedded is None or embedded.ndim != 3 or not prefix:
        return False
    n = embedded.shape[1]
    return math.isqrt(n) ** 2 == n and math.isqrt(max(n - prefix, 0)) ** 2 != n - prefix


def in_words(options: Mapping[str, Any]) -> str:
    """Say which options were read.

    >>> in_words({"reg_tokens": 4, "global_pool": "avg"})
    'options reg_tokens=4, global_pool=avg: read from its keys and shapes'
    """
    shown = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"options {shown}: read from its keys and shapes"
