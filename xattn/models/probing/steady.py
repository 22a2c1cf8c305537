"""Whether what a network says of an image is a matter of that image alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def what_else_matters(network: nn.Module, x: Tensor) -> str:
    """Say what its outputs depend on besides the image; "" if on nothing.

    Args:
        network: as it is: a program cannot always be put into evaluation mode.
        x: two images or more, (n, 3, height, width).
    """
    with torch.no_grad():
        first, again, alone = (tree_leaves(network(part)) for part in (x, x, x[:1]))
    if _differ(first, again):
        return "its outputs change from call to call, as of dropout in training"
    if _differ([one[:1] for one in first if isinstance(one, Tensor) and one.ndim], alone):
        return "an image's outputs depend on the rest of the batch, as of batch norm in training"
    return ""


def _differ(some: Sequence[Any], others: Sequence[Any]) -> bool:
    for one, other in zip(some, others, strict=False):
        if isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape:
            gap = float((one.double() - other.double()).abs().max()) if one.numel() else 0.0
            if not math.isfinite(gap) or gap > 1e-3 * max(1.0, float(one.abs().max())):
                return True
    return False
