"""What a pretrained network says of an image at several depths, pooled in ways that find artifacts.

An artifact is often small, or lies at the border: means alone would lose it. So every stage is
pooled by its mean, its spread, its largest values, and over the border and the corners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, UsageError
from xattn.images import read_image
from xattn.images.prefetch import prefetch
from xattn.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

BACKBONE = "tf_efficientnet_lite0"
SIDE = 256
"""Pixels of the square that a whole image is squashed to."""

_BORDER = 0.12  # of the height and width
_TOP = 50  # one of so many places of a stage are its largest values
_BATCH = 16
_NOTHING = np.zeros(0, np.float32)

Read = NDArray[np.float32] | str
"""A network's input, or why there is none."""


def pretrained_backbone(architecture: str) -> tuple[nn.Module, Preprocessing]:
    """Return a network with its published weights, and how its inputs are made.

    Args:
        architecture: a name of timm with published weights.

    Raises:
        CheckpointError: the weights are not on this machine and cannot be fetched.
        UsageError: the architecture is unknown, or does not give its stages.
    """
    from xattn.models.architectures.registry import build
    from xattn.models.pretrained import find_pretrained
    from xattn.training.init_weights import start_from

    published = find_pretrained(architecture)
    network = build(architecture, 2).eval()
    if not hasattr(network, "forward_intermediates"):
        raise UsageError(
            f"Expected a network of timm that gives its stages, but got {architecture}; "
            f"{BACKBONE} does"
        )
    start_from(network, published.fetch(), 2)
    return network, Preprocessing((SIDE, SIDE), mean=published.mean, std=published.std)


def pooled_activations(
    network: nn.Module,
    preprocessing: Preprocessing,
    files: Sequence[Path],
    *,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Run images through a network.

    Args:
        network: of timm, in evaluation mode.
        preprocessing: of its inputs.
        files: n images.
        workers: threads that read.
        progress: called as progress(done, total).

    Returns:
        (n, columns), NaN for images that could not be read; and by row why not.
    """
    import torch

    found: list[NDArray[np.float32]] = []
    unread: dict[int, str] = {}

    mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))

    def read(row: int) -> Read:
        try:
            seen = read_image(files[row], enough=preprocessing.enough)
            pixels = preprocessing.pixels(seen.levels, seen.size)
        except ImageError as err:
            return str(err)
        scaled = (pixels.astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    inputs = prefetch(read, range(len(files)), workers)
    done = 0
    with torch.inference_mode():
        for batch in _batches(inputs):
            good = [one for one in batch if not isinstance(one, str)]
            unread |= {done + i: one for i, one in enumerate(batch) if isinstance(one, str)}
            rows = _pooled(network, torch.from_numpy(np.stack(good))) if good else None
            own = iter(()) if rows is None else iter(rows)
            found += [_NOTHING if isinstance(one, str) else next(own) for one in batch]
            done += len(batch)
            if progress is not None:
                progress(done, len(files))
    width = max((len(row) for row in found), default=0)
    filled = [row if len(row) else np.full(width, np.nan, np.float32) for row in found]
    return np.stack(filled) if filled else np.zeros((0, 0), np.float32), unread


def _batches(inputs: Iterator[Read]) -> Iterator[list[Read]]:
    while batch := list(islice(inputs, _BATCH)):
        yield batch


def _pooled(network: nn.Module, inputs: torch.Tensor) -> NDArray[np.float32]:
    """Return (batch, columns)."""
    import torch

    stages = network.forward_intermediates(inputs, intermediates_only=True)  # type: ignore[operator]
    found = []
    for stage in stages:
        height, width = stage.shape[2:]
        rows, columns = (max(1, round(_BORDER * side)) for side in (height, width))
        border = torch.ones(height, width, dtype=torch.bool)
        border[rows : height - rows, columns : width - columns] = False
        corner = torch.zeros(height, width, dtype=torch.bool)
        for part in (slice(0, rows), slice(height - rows, height)):
            corner[part, :columns] = corner[part, width - columns :] = True
        flat = stage.flatten(2)
        at_border = flat[..., border.flatten()]
        most = flat.topk(max(1, height * width // _TOP), dim=2).values
        found += [
            flat.mean(2), flat.std(2), flat.amax(2), most.mean(2),
            at_border.mean(2), at_border.amax(2), flat[..., corner.flatten()].mean(2),
        ]  # fmt: skip
    return np.asarray(torch.cat(found, dim=1).numpy(), dtype=np.float32)
