"""Options of a network of timm that its keys and shapes tell: tokens, pooling, depth, windows.

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
from xattn.models.matching.perceptrons import (
    GATE,
    options_of_eva,
    options_of_vit,
    perceptron_of,
)

_PRESENT: tuple[tuple[str, str, Any, Any], ...] = (
    ("fc_norm.weight", "global_pool", "avg", "token"),
    ("blocks.0.ls1.gamma", "init_values", 1e-5, None),
    ("blocks.0.attn.qkv.bias", "qkv_bias", True, False),
    ("blocks.0.attn.q_norm.weight", "qk_norm", True, False),
    ("norm_pre.weight", "pre_norm", True, False),
    ("cls_token", "class_token", True, False),
)
"""A key, the option that it tells, and the option's value where it is there and where it is not."""
_OWN_KEYS = {
    "VisionTransformer": ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
    "SwinTransformer": (
        "patch_embed.proj.weight", "layers.0.blocks.0.attn.relative_position_bias_table"
    ),
    "Eva": ("patch_embed.proj.weight", "blocks.0.attn.proj.weight"),
    "ConvNeXt": ("stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
}  # fmt: skip
"""Two keys of each class: what is before the first is a prefix, and the second must be there."""
_TABLE = "attn.relative_position_bias_table"


def shape_options(states: Sequence[Mapping[str, Tensor]], module: nn.Module) -> dict[str, Any]:
    """Return the options by which weights differ from an architecture as it is published.

    Args:
        states: sets of weights, under any prefix; the first that is of such a network is taken.
        module: the architecture, on any device; timm's `VisionTransformer`, `Eva` (DINOv3 too),
            `SwinTransformer` and `ConvNeXt` are known.

    Returns:
        Options of its builder; empty if there are none, or it is another network.
    """
    kind = type(module).__name__
    expected = module.state_dict()
    # torchvision's classes are called as timm's are, and hold other keys.
    if kind not in _OWN_KEYS or not _own_keys(expected, kind):
        return {}
    state = next((inside for one in states if (inside := _own_keys(unwrapped(one), kind))), None)
    if state is None:
        return {}
    if kind == "SwinTransformer":
        return _of_swin(state, expected, module)
    if kind == "Eva":
        return _of_eva(state, expected)
    return (
        _of_vit(state, expected) if kind == "VisionTransformer" else _of_convnext(state, expected)
    )


def reads_windows(states: Sequence[Mapping[str, Tensor]]) -> bool:
    """Whether some weights have a table of relative positions in windows, as Swin's."""
    return any(key.endswith(_TABLE) for one in states for key in one)


def resampled_windows(
    states: Sequence[Mapping[str, Tensor]], expected: Mapping[str, Tensor]
) -> str:
    """Say that timm resamples tables of relative positions to other windows; "" if it does not."""
    for key, table in expected.items():
        for one in states if key.endswith("relative_position_bias_table") else ():
            found = next((value for k, value in one.items() if k.endswith(key)), None)
            if found is not None and found.shape[0] != table.shape[0]:
                return (
                    f"relative positions resampled from {found.shape[0]} to {table.shape[0]} ({key}"
                    ", ...): it was trained with other windows, or of another size"
                )
    return ""


def _of_vit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Any]:
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
    found |= _depth(state, expected)
    here, there = perceptron_of(state), perceptron_of(expected)
    if here is not None and there is not None:
        found |= options_of_vit(here, there)
    classes = int("cls_token" in state)
    if found.keys() & {"reg_tokens", "class_token"} and _without_prefix(state, classes + registers):
        found["no_embed_class"] = True
    return found


def _of_eva(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return depth, registers and the kind of perceptron."""
    found = _depth(state, expected)
    registers, published = (
        keys["reg_token"].shape[1] if "reg_token" in keys else 0 for keys in (state, expected)
    )
    if registers != published:
        found["num_reg_tokens"] = registers
    here, there = perceptron_of(state), perceptron_of(expected)
    if here is not None and there is not None:
        found |= options_of_eva(here, there)
    return found


def _own_keys(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Take off what stands before the keys of a class of networks; empty if it is none."""
    first, second = _OWN_KEYS[kind]
    key = next((key for key in state if key.endswith(first)), None)
    prefix = "" if key is None else key.removesuffix(first)
    if key is None or f"{prefix}{second}" not in state:
        return {}
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _of_swin(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: nn.Module
) -> dict[str, Any]:
    """Return depths, heads, width and windows; timm would resample windows of another size.

    The size of the input leaves no trace. It is taken to have grown with the windows, as timm's
    own resizing does.
    """

    def told(keys: Mapping[str, Tensor]) -> dict[str, Any]:
        return {
            "depths": _depths(keys, r"layers\.(\d+)\.blocks\.(\d+)\."),
            "num_heads": tuple(
                keys[f"layers.{i}.blocks.0.{_TABLE}"].shape[1] for i in _stages(keys, "layers")
            ),
            "embed_dim": keys["patch_embed.proj.weight"].shape[0],
            "window_size": (math.isqrt(keys[f"layers.0.blocks.0.{_TABLE}"].shape[0]) + 1) // 2,
        }

    here, there = told(state), told(expected)
    found = {name: value for name, value in here.items() if value != there[name]}
    patches: Any = module.patch_embed
    size = tuple(patches.img_size)
    if "window_size" in found:
        grown = [side * here["window_size"] // there["window_size"] for side in size]
        found["img_size"] = tuple(grown)
    return found


def _of_convnext(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return depths, widths, and whether the norm comes before the pooling."""

    def told(keys: Mapping[str, Tensor]) -> dict[str, Any]:
        widths = [f"stages.{i}.blocks.0.conv_dw.weight" for i in _stages(keys, "stages")]
        return {
            "depths": _depths(keys, r"stages\.(\d+)\.blocks\.(\d+)\."),
            "dims": tuple(keys[key].shape[0] for key in widths),
            "head_norm_first": "norm_pre.weight" in keys,
        }

    here, there = told(state), told(expected)
    return {name: value for name, value in here.items() if value != there[name]}


def _stages(keys: Mapping[str, Tensor], name: str) -> list[int]:
    """Number the stages in which there is a block, from 0."""
    found = {int(m[1]) for key in keys if (m := re.match(rf"{name}\.(\d+)\.blocks\.0\.", key))}
    return sorted(found)


def _depths(keys: Mapping[str, Tensor], block: str) -> tuple[int, ...]:
    """Count the blocks of each stage."""
    pairs = {(int(m[1]), int(m[2])) for key in keys if (m := re.match(block, key))}
    return tuple(sum(i == stage for i, _ in pairs) for stage in sorted({i for i, _ in pairs}))


def _depth(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the number of blocks, where it differs."""
    numbers = [int(m[1]) for key in state if (m := re.match(r"blocks\.(\d+)\.", key))]
    known = [int(m[1]) for key in expected if (m := re.match(r"blocks\.(\d+)\.", key))]
    found: dict[str, Any] = {}
    if max(numbers) != max(known) and len(set(numbers)) == max(numbers) + 1:
        found["depth"] = max(numbers) + 1
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
    guessed = ", the size by its windows (--size says otherwise)" if "img_size" in options else ""
    if options.get("mlp_layer") == "swiglu_packed":
        guessed += f"; {GATE}"
    return f"options {shown}: read from its keys and shapes{guessed}"
