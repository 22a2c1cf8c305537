"""Reading a state dict's keys as an architecture's, whatever wrappers and old code made of them.

A prefix may be anything, and several may stand before one another; which one is meant only an
architecture can tell, for some have modules of their own called `network`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

PREFIXES = ("model.", "module.", "net.", "backbone.", "network.", "encoder.")
"""What trainings put before the keys of what they trained; preferred where several prefixes fit."""

_WRAPPERS = {
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
}
"""Names that wrappers put into keys at any depth: compilation, sharding, checkpointing."""

_COUNTERS = ("total_ops", "total_params", "n_averaged", "num_updates")
"""What profilers and averages leave beside the weights."""

_DERIVED = ("relative_position_index", "attn_mask", "relative_coords_table")
"""Buffers that a network computes for itself; older code stored them."""

MOST_PREFIXES = 6


@dataclass(frozen=True)
class Reading:
    """One way to read a state dict.

    Attributes:
        state: tensors by an architecture's key.
        prefix: what was taken off the keys.
        rest: tensors without the prefix, which belong to something else.
    """

    state: dict[str, Tensor]
    prefix: str = ""
    rest: dict[str, Tensor] = field(default_factory=dict)

    def agreeing(self, expected: Mapping[str, Tensor]) -> int:
        """Count the keys that an architecture has in the same shape."""
        return sum(k in expected and v.shape == expected[k].shape for k, v in self.state.items())

    @property
    def usual(self) -> bool:
        """Whether the prefix is made of those that trainings use."""
        rest = self.prefix
        while found := next((p for p in PREFIXES if rest.startswith(p)), ""):
            rest = rest.removeprefix(found)
        return not rest


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take what wrappers put into the keys out of them, and counters away."""
    found = {}
    for key, value in state.items():
        parts = [part for part in key.split(".") if part not in _WRAPPERS]
        if parts and parts[-1] not in _COUNTERS:
            found[".".join(parts)] = value
    return found


def is_derived(key: str) -> bool:
    """Whether a key is of a buffer that inference does not need from the file."""
    return key.rpartition(".")[2] in (*_DERIVED, "num_batches_tracked")


def readings(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: nn.Module | None = None
) -> Iterator[Reading]:
    """Yield the ways to read a state dict, the plainest first.

    Args:
        state: as in the file.
        expected: of an architecture, for its keys and shapes.
        module: the architecture, on any device, for the renamings that its library knows.
    """
    plain = unwrapped(state)
    yield from _by_prefix(plain, expected)
    if module is None:
        return
    for renamed in _renamed(plain, expected, module):
        yield from _by_prefix(renamed, expected)
    yield from _filtered(plain, expected, module)


def best_reading(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: nn.Module | None = None
) -> Reading:
    """Return the reading that agrees with most of the expected keys and shapes.

    Of readings that agree with as many, one with a usual prefix is taken, and the first.
    """
    best = Reading(unwrapped(state))
    score = (best.agreeing(expected), best.usual)
    needed = sum(not is_derived(key) for key in expected)
    for reading in readings(state, expected, module):
        this = (reading.agreeing(expected), reading.usual)
        # A prefix under which little agrees is one by chance, and would hide what is there.
        if this > score and this[0] > 0.3 * needed:
            best, score = reading, this
        if score[0] >= needed and score[1]:
            break
    return best


def _by_prefix(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[Reading]:
    """Yield what is left when a prefix is taken off, for those after which most keys agree."""
    yield Reading(dict(state))
    counts: Counter[str] = Counter()
    for key, value in state.items():
        parts = key.split(".")
        for i in range(1, len(parts)):
            end = ".".join(parts[i:])
            if end in expected and expected[end].shape == value.shape:
                counts[key.removesuffix(end)] += 1
    for prefix, _ in counts.most_common(MOST_PREFIXES):
        yield _without(state, prefix)


def _without(state: Mapping[str, Tensor], prefix: str) -> Reading:
    inside = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    rest = {k: v for k, v in state.items() if not k.startswith(prefix)}
    return Reading(inside, prefix, rest)


def _renamed(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: nn.Module
) -> Iterator[dict[str, Tensor]]:
    """Yield the state dict under the keys that newer code uses, where older or other code shows."""
    for rename in (_densenet, _positions(expected, module), _lukemelas(expected)):
        renamed = {rename(key): value for key, value in state.items()}
        if renamed.keys() != state.keys() and len(renamed) == len(state):
            yield renamed


def _densenet(key: str) -> str:
    """Torchvision before 0.4 had a point in these names; MONAI has one level more."""
    key = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)", r"\1\2", key)
    return re.sub(r"(denselayer\d+)\.layers\.", r"\1.", key)


def _positions(expected: Mapping[str, Tensor], module: nn.Module) -> Any:
    """Name children again that `nn.Sequential(*model.children())` had numbered."""
    children = [name for name, _ in module.named_children()]
    numbered = {}
    for key in expected:
        first, _, rest = key.partition(".")
        if rest and first in children:
            numbered[f"{children.index(first)}.{rest}"] = key

    def rename(key: str) -> str:
        parts = key.split(".")
        for i, part in enumerate(parts):
            if part.isdecimal():
                # The outermost number that leads to a known key: stages count their blocks too.
                end = ".".join(parts[i:])
                if end in numbered:
                    return ".".join([*parts[:i], numbered[end]])
        return key

    return rename


_LUKEMELAS = (
    ("_conv_stem.", "conv_stem."), ("_bn0.", "bn1."), ("_conv_head.", "conv_head."),
    ("_bn1.", "bn2."), ("_fc.", "classifier."),
)  # fmt: skip
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_se_reduce": "se.conv_reduce",
          "_se_expand": "se.conv_expand", "_project_conv": "conv_pw", "_bn2": "bn2"}  # fmt: skip
_LATER = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
          "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand",
          "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip


def _lukemelas(expected: Mapping[str, Tensor]) -> Any:
    """Rename the keys of the package efficientnet-pytorch to timm's."""
    blocks = list(
        dict.fromkeys(m[0] for key in expected if (m := re.match(r"blocks\.\d+\.\d+", key)))
    )

    def rename(key: str) -> str:
        inner = re.search(r"_blocks\.(\d+)\.(_\w+)\.", key)
        if inner:
            number = int(inner[1])
            if number < len(blocks):
                block = blocks[number]
                names = _LATER if f"{block}.conv_pwl.weight" in expected else _FIRST
                new = f"{block}.{names.get(inner[2], inner[2])}."
                return key[: inner.start()] + new + key[inner.end() :]
            return key
        for old, new in _LUKEMELAS:
            found = re.search(rf"(^|\.){re.escape(old)}", key)
            if found:
                return key[: found.start()] + found[1] + new + key[found.end() :]
        return key

    return rename


def _filtered(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: nn.Module
) -> Iterator[Reading]:
    """Yield what timm's own filter makes of the state dict, after prefixes all keys share."""
    home = sys.modules.get(type(module).__module__)
    if home is None or not home.__name__.startswith("timm."):
        return
    named = (getattr(home, name, None) for name in _FILTERS)
    filters = [found for found in named if callable(found)]
    for found in filters:
        for reading in (Reading(dict(state)), *common_prefixes(state)):
            try:
                result = found(dict(reading.state), module)
            except Exception:
                continue
            if isinstance(result, Mapping):
                tensors = {str(k): v for k, v in result.items() if isinstance(v, Tensor)}
                for inner in _by_prefix(tensors, expected):
                    yield Reading(
                        inner.state, reading.prefix + inner.prefix, {**reading.rest, **inner.rest}
                    )


_FILTERS = ("checkpoint_filter_fn", "_filter_torchvision_pretrained", "pretrained_filter_fn")
"""Names under which timm's modules keep the function that renames published checkpoints."""


def common_prefixes(state: Mapping[str, Tensor]) -> Iterator[Reading]:
    """Yield the state dict without the parts that nine keys in ten begin with, one by one."""
    prefix = ""
    while True:
        starts = Counter(
            k.removeprefix(prefix).split(".")[0] for k in state if k.startswith(prefix)
        )
        if not starts:
            return
        part, count = starts.most_common(1)[0]
        if count < 0.9 * sum(starts.values()) or f"{prefix}{part}" in state:
            return
        prefix += part + "."
        yield _without(state, prefix)
