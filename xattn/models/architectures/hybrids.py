"""Hybrids by composition: blocks after the stages of a convolutional network.

Every weight of the backbone keeps its key: a checkpoint of the plain network loads into the hybrid
as it is. Where a stage is an `nn.Sequential`, the block becomes its last member (`layer4.ga`);
elsewhere it belongs to the network and runs by a hook (`la.stages_3`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xattn.errors import UsageError
from xattn.models.architectures.blocks import BLOCKS

MakeBlock = Callable[[int], nn.Module]


def make_hybrid(
    backbone: nn.Module, kind: str, stages: Sequence[int] | None = None, **options: Any
) -> nn.Module:
    """Put blocks of one kind after chosen stages of a timm backbone, in place.

    Args:
        backbone: a timm model with convolutional stages.
        kind: a key of `BLOCKS`.
        stages: counted from 1; the last two if not given.
        options: of the block, for instance `heads`.

    Returns:
        The same backbone.

    Raises:
        UsageError: the backbone has no such stages, or an option makes no sense.
    """
    return insert_after_stages(backbone, kind, partial(BLOCKS[kind], **options), stages)


def insert_after_stages(
    backbone: nn.Module, name: str, make_block: MakeBlock, stages: Sequence[int] | None = None
) -> nn.Module:
    """Put `make_block(channels)` after the chosen stages of a timm backbone, in place.

    Args:
        backbone: a timm model with convolutional stages.
        name: the block's name within its stage, hence in the state dict.
        make_block: builds a block for the channels of a stage; its output has its input's shape.
        stages: which stages, counted from 1 (the stem is not one); the last two if not given.

    Returns:
        The same backbone.

    Raises:
        UsageError: the backbone has no such stage, or it is named twice.
    """
    found = list(_stages(backbone).items())
    if stages is None:
        stages = range(max(len(found) - 1, 1), len(found) + 1)
    if len(set(stages)) != len(stages):
        raise UsageError(f"Expected every stage once, but got {list(stages)}")
    for stage in stages:
        if not 1 <= stage <= len(found):
            raise UsageError(f"Expected stages 1 to {len(found)}, but got {stage}")
        path, channels = found[stage - 1]
        _append(backbone, path, name, make_block(channels))
    return backbone


def _append(backbone: nn.Module, path: str, name: str, block: nn.Module) -> None:
    """Have a block run after a stage."""
    stage = backbone.get_submodule(path)
    if isinstance(stage, nn.Sequential):
        stage.add_module(name, block)
        return
    # Other stages may run over their own parts in ways of their own: leave them alone.
    if not hasattr(backbone, name):
        backbone.add_module(name, nn.ModuleDict())
    backbone.get_submodule(name).add_module(path.replace(".", "_"), block)
    stage.register_forward_hook(partial(_run, block))


def _run(block: nn.Module, _stage: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    """Forward hook: what follows the stage sees the block's output."""
    result: Tensor = block(output)
    return result


def _stages(backbone: nn.Module) -> dict[str, int]:
    """Find the convolutional stages among timm's `feature_info`: their paths and channels.

    A stage is a module that holds convolutions and gives a map (n, C, h, w); the stem is none.
    """
    told = getattr(backbone, "feature_info", None) or []
    parts = dict(backbone.named_modules())
    named = [info["module"] for info in told if not info["module"].startswith("stem")]
    holding = [name for name in named if name and _holds_convolutions(parts.get(name))]
    # What timm tells of channels is not enough: HRNet's stages give lists of maps.
    maps = _map_channels(backbone, holding)
    if not maps:
        raise UsageError(
            f"Expected a backbone with convolutional stages, but {type(backbone).__name__} has "
            "none that timm tells of"
        )
    return maps


def _holds_convolutions(module: nn.Module | None) -> bool:
    return module is not None and any(
        isinstance(part, nn.Conv2d) for part in module.modules() if part is not module
    )


def _map_channels(backbone: nn.Module, names: Sequence[str]) -> dict[str, int]:
    """Tell the channels of those modules that give a map, by a pass without numbers."""
    twin = copy.deepcopy(backbone).to("meta").eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[name] = tuple(output.shape)

    config = getattr(backbone, "pretrained_cfg", None) or {}
    size = config.get("input_size", (3, 224, 224))
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for name in names:
            hook = partial(note, name)
            stack.callback(twin.get_submodule(name).register_forward_hook(hook).remove)
        twin(torch.empty(1, *size, device="meta"))
    return {
        name: shape[1]
        for name, shape in shapes.items()
        if len(shape) == 4 and _shrunk(shape[2:], size[1:])
    }


def _shrunk(grid: Sequence[int], size: Sequence[int]) -> bool:
    """Whether (h, w) can be the input's (height, width) divided by one number."""
    return abs(size[0] / grid[0] - size[1] / grid[1]) < 1 and grid[0] <= size[0]
