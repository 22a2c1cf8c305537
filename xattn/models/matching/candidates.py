"""Which known architectures have the keys and shapes of a checkpoint, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xattn.errors import XattnError
from xattn.models.architectures.registry import variants
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.published import published_by
from xattn.models.checkpoints.records import is_known
from xattn.models.matching.fingerprints import candidates
from xattn.models.matching.fitting import fit
from xattn.models.matching.input_size import Size
from xattn.models.matching.state import likely_architecture, skeleton

MOST = 6
"""Architectures that a hint names; of the others it gives the number."""


def fitting(checkpoint: Checkpoint) -> list[str]:
    """Return every known architecture that the weights fill, under the names `build` takes."""
    sizes: dict[str, Size | None] = {}
    for name in candidates(checkpoint.state):
        try:
            found = fit(checkpoint, name)
        except XattnError:  # of another version of the library, or not clear which head is meant
            continue
        if found.match.perfect:
            sizes[name] = found.size
    return [name for name, size in sizes.items() if size is None or not _is_there(name, sizes)]


def _is_there(name: str, sizes: Mapping[str, Size | None]) -> bool:
    """Say whether weights of another size than an architecture's are as published of its twin."""

    def without_size(one: str) -> dict[str, Any]:
        return {key: value for key, value in traits_of(one).items() if key != "size"}

    own = without_size(name)
    return any(without_size(one) == own for one, size in sizes.items() if size is None)


def suggest(checkpoint: Checkpoint, besides: str | None = None) -> str:
    """Return a hint at the architectures that a checkpoint can be of, to put behind a message.

    Args:
        checkpoint: with weights.
        besides: the name that was tried; it is not suggested again.
    """
    tried = set(_variants(besides)) if besides else set()
    found = [name for name in fitting(checkpoint) if name not in tried]
    if len(found) == 1:
        return f"; its keys and shapes are those of --arch {found[0]}"
    if found:
        told = ", ".join(describe(found[:MOST]))
        more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
        return (
            f"; its keys and shapes are those of {told}{more}: name the one that was trained with "
            "--arch, the weights cannot tell"
        )
    likely = likely_architecture(checkpoint.state)
    return f"; its keys look like --arch {likely}" if likely and likely not in tried else ""


def _variants(name: str) -> list[str]:
    try:
        found = variants(name)
    except XattnError:
        return [name]
    return [name, *found, *(one.removeprefix("timm/") for one in found)]


def describe(names: Sequence[str]) -> list[str]:
    """Say of each architecture, in brackets, what sets it apart from the others."""
    traits = [traits_of(name) for name in names]
    differing = [key for key in traits[0] if len({str(one[key]) for one in traits}) > 1]
    return [
        f"{name} ({', '.join(f'{key} {one[key]}' for key in differing)})" if differing else name
        for name, one in zip(names, traits, strict=True)
    ]


def others(state: Mapping[str, Tensor], name: str) -> str | None:
    """Say which other architectures weights fill that compute something else.

    Args:
        state: of a module of the architecture `name`.
        name: as `build` takes it.

    Returns:
        One line; None if there is none.
    """
    if not is_known(name):  # a library's own, which its configuration describes
        return None
    checkpoint = Checkpoint(Path(name), "state-dict", "", dict(state))
    bare = name.removeprefix("timm/")
    own = _computing(traits_of(name))
    found = [one for one in fitting(checkpoint) if one not in (name, bare)]
    found = [one for one in found if _computing(traits_of(one)) != own]
    if not found:
        return None
    own_traits, *told = describe([bare, *found][:MOST])
    return (
        f"these weights fill other architectures too, which compute something else: "
        f"{', '.join(told)}; taken is {own_traits}"
    )


_READING = ("mean", "std", "size", "resampling")
"""Traits of how images are read, which options can change."""


def _computing(traits: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in traits.items() if key not in _READING}


@cache
def traits_of(name: str) -> Mapping[str, Any]:
    """Return what an architecture computes beyond what keys and shapes tell; do not change it."""
    module = skeleton(name, 2)
    parts = list(module.modules())
    convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
    same = any(type(part).__name__.endswith("Same") for part in parts)
    strided = [part.kernel_size[0] for part in convolutions if max(part.stride) > 1]
    pre, _ = published_by(name, module)
    return {
        "padding": "as TensorFlow" if same else "symmetric",
        "eps": _listed({f"{part.eps:g}" for part in parts if isinstance(part, _Norms)}),
        "activation": _listed({type(part).__name__ for part in parts if _activates(part)}),
        "strided kernels": _listed([str(side) for side in strided]),
        "mean": _listed([f"{value:g}" for value in dict.fromkeys(pre.mean)]),
        "std": _listed([f"{value:g}" for value in dict.fromkeys(pre.std)]),
        "size": f"{pre.size[0]} x {pre.size[1]}",
        "resampling": pre.interpolation,
    }


_Norms = nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm


def _activates(part: nn.Module) -> bool:
    home = type(part).__module__
    return home.startswith("timm.layers.activations") or (
        home == "torch.nn.modules.activation" and not isinstance(part, nn.MultiheadAttention)
    )


def _listed(values: set[str] | Sequence[str]) -> str:
    return "/".join(sorted(values) if isinstance(values, set) else values)
