"""Networks that are built for one input size: which, and position embeddings of another."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from xattn.models.checkpoints.containers import Weights

Size = tuple[int, int]


def by(size: Size) -> str:
    """Write a size for a person."""
    return f"{size[0]} x {size[1]}"


def built_for(
    module: nn.Module, sets: Sequence[Weights], size: Size | None
) -> tuple[dict[str, Any], Size, Size] | None:
    """Tell which input size a network of fixed size is built for: options, its size, the file's.

    None if the network takes any size, or takes the wanted one as it is published.
    """
    side_of_patches: Any = getattr(module, "patch_size", None)
    torchvision_side = getattr(module, "image_size", None)
    patch = getattr(module, "patch_embed", None)
    if isinstance(torchvision_side, int):
        own, cell = (torchvision_side, torchvision_side), (int(side_of_patches),) * 2
        wanted_key, prefix, option = "pos_embedding", 1, "image_size"
    elif patch is not None and getattr(patch, "img_size", None):
        own, cell = tuple(patch.img_size), tuple(patch.patch_size)
        wanted_key, prefix, option = "pos_embed", _prefix_tokens(module), "img_size"
    else:
        return None
    stored = _size_of(sets, wanted_key, prefix, cell) or own
    target = size or stored
    if target == own and stored == own:
        return None
    if option == "image_size" and target[0] != target[1]:
        return None
    if any(side % step for side, step in zip(target, cell, strict=True)):
        return None  # the forward pass will say that it does not divide
    value: Any = target[0] if option == "image_size" else target
    return {option: value}, target, stored


def _prefix_tokens(module: nn.Module) -> int:
    return (
        0 if getattr(module, "no_embed_class", False) else getattr(module, "num_prefix_tokens", 0)
    )


def _size_of(sets: Sequence[Weights], name: str, prefix: int, cell: Size) -> Size | None:
    """Read the input size off the number of position embeddings, if they make a square."""
    for one in sets:
        for key, value in one.state.items():
            if key.rpartition(".")[2] == name and value.ndim == 3:
                n = value.shape[1] - prefix
                side = math.isqrt(max(n, 0))
                if side and side * side == n:
                    return side * cell[0], side * cell[1]
    return None


def resample(state: dict[str, Tensor], module: nn.Module, target: Size, stored: Size) -> bool:
    """Resample position embeddings in place, with the library's own function.

    Returns:
        Whether there were any of another size.
    """
    if target == stored:
        return False
    if "encoder.pos_embedding" in state:
        from torchvision.models.vision_transformer import interpolate_embeddings

        patch: Any = module.patch_size
        state |= interpolate_embeddings(target[0], patch, OrderedDict(state))
        return True
    if "pos_embed" not in state or state["pos_embed"].ndim != 3:
        return False
    from timm.layers.pos_embed import resample_abs_pos_embed

    patch_embed: Any = module.patch_embed
    step = patch_embed.patch_size
    old = [stored[0] // step[0], stored[1] // step[1]]
    prefix = _prefix_tokens(module)
    if state["pos_embed"].shape[1] == old[0] * old[1] + prefix:
        state["pos_embed"] = resample_abs_pos_embed(
            state["pos_embed"].float(),
            new_size=list(patch_embed.grid_size),
            old_size=old,
            num_prefix_tokens=prefix,
        )
    return True  # else the library's filter did it
