"""Networks of timm as trainings leave them, and what is written of them into files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn

from tests.models.nets import with_statistics

State = dict[str, Tensor]


def make(name: str, seed: int = 0, n_classes: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    return with_statistics(timm.create_model(name, num_classes=n_classes)).eval()


def batch_for(net: nn.Module) -> Tensor:
    size = net.pretrained_cfg["input_size"]
    return torch.randn(2, *size, generator=torch.Generator().manual_seed(1))


def same(model: Any, net: nn.Module, atol: float = 1e-5) -> bool:
    x = batch_for(net)
    with torch.no_grad():
        return torch.allclose(model.logits(x), net(x), atol=atol)


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + key: value for key, value in state.items()}
