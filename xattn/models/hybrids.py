"""Hybrids by composition: attention blocks appended to the stages of a convolutional network.

A block becomes a named member of the stage's own `nn.Sequential`, so every weight of the backbone
keeps its key: a checkpoint of the plain network loads into the hybrid as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from xattn.errors import UsageError

MakeBlock = Callable[[int], nn.Module]


def insert_after_stages(
    backbone: nn.Module, name: str, make_block: MakeBlock, stages: Sequence[int]
) -> nn.Module:
    """Append `make_block(channels)` to the chosen stages of a timm backbone, in place.

    Args:
        backbone: a timm model with `feature_info`.
        name: the block's name within its stage, hence in the state dict.
        make_block: builds a block for the channels of a stage; its output has its input's shape.
        stages: which stages, counted from 1 (the stem is not one).

    Returns:
        The same backbone.

    Raises:
        UsageError: the backbone has no such stage, or it is named twice.
    """
    if len(set(stages)) != len(stages):
        raise UsageError(f"Expected every stage once, but got {list(stages)}")
    found = _stages(backbone)
    for stage in stages:
        if not 1 <= stage <= len(found):
            raise UsageError(f"Expected stages 1 to {len(found)}, but got {stage}")
        sequence, channels = found[stage - 1]
        sequence.add_module(name, make_block(channels))
    return backbone


def _stages(backbone: nn.Module) -> list[tuple[nn.Sequential, int]]:
    """Find the stages as timm's `feature_info` tells them, the stem left out."""
    found = []
    for info in backbone.feature_info:  # type: ignore[union-attr]
        module = backbone.get_submodule(info["module"])
        if isinstance(module, nn.Sequential):
            found.append((module, int(info["num_chs"])))
    return found
