"""Batch norms folded into the convolutions before them, in a private copy."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from xattn.models.interface import Model
from xattn.models.probing.forward import model_dtype

FEW_CONVOLUTIONS = 3
"""A network with no more convolutions (a ViT's patches) gains nothing from folding."""


def fold_norms(copied: Model) -> None:
    """Fold what can be folded.

    Args:
        copied: a copy of which nobody else knows; its modules are changed.
    """
    for convolution, norm in _pairs(copied):
        _fold(copied.module, convolution, norm)


def has_convolutions(module: nn.Module) -> bool:
    """Say whether folding is worth a copy."""
    count = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    return count > FEW_CONVOLUTIONS


def _pairs(copied: Model) -> list[tuple[str, str]]:
    """Name each convolution whose output a batch norm takes, both run once in a probing pass.

    Whether something else takes it too only the comparison of the results can tell.
    """
    names = {part: name for name, part in copied.module.named_modules()}
    given: list[tuple[Tensor, str]] = []
    calls: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []

    def gave(part: nn.Module, _inputs: Any, output: Tensor) -> None:
        calls[names[part]] += 1
        given.append((output, names[part]))  # held, so that its identity stays its own

    def takes(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls[names[part]] += 1
        pairs.extend((name, names[part]) for output, name in given if output is inputs[0])

    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for part in names:
            if type(part).__name__ in ("Conv2d", "Conv2dSame") and isinstance(part, nn.Conv2d):
                stack.callback(part.register_forward_hook(gave).remove)
            elif _is_plain_norm(part):
                stack.callback(part.register_forward_pre_hook(takes).remove)
        copied.module(probe_batch(copied)[:1])
    target = copied.target_layer
    return [
        (convolution, norm)
        for convolution, norm in pairs
        if calls[convolution] == calls[norm] == 1 and convolution != target
    ]


def _is_plain_norm(part: nn.Module) -> bool:
    """Batch norm with statistics of its own; timm's may drop and activate after it."""
    known = type(part) is nn.BatchNorm2d or type(part).__name__ == "BatchNormAct2d"
    return known and getattr(part, "running_mean", None) is not None


class _After(nn.Module):
    """What is left of timm's batch norm with activation once the norm is folded away."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.drop = norm.drop
        self.act = norm.act

    def forward(self, x: Tensor) -> Tensor:
        """Activate."""
        result: Tensor = self.act(self.drop(x))
        return result


def _fold(module: nn.Module, convolution_name: str, norm_name: str) -> None:
    """Scale and shift a convolution as the norm after it would, and take the norm away."""
    convolution: Any = module.get_submodule(convolution_name)
    norm: Any = module.get_submodule(norm_name)
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight.double(), shift * norm.weight.double()
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    weight = convolution.weight
    bias = 0 if convolution.bias is None else convolution.bias.double()
    folded = weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(folded.to(weight.dtype), requires_grad=False)
    shifted = (bias * scale + shift).to(weight.dtype)
    convolution.bias = nn.Parameter(shifted, requires_grad=False)
    parent, _, name = norm_name.rpartition(".")
    rest = nn.Identity() if type(norm) is nn.BatchNorm2d else _After(norm)
    setattr(module.get_submodule(parent), name, rest.eval())


def probe_batch(model: Model, n: int = 2) -> Tensor:
    """Return noise (n, channels, height, width) as the model takes it, the same in each call."""
    dtype, device = model_dtype(model.module)
    seen = model.preprocessing
    noise = torch.randn(n, seen.channels, *seen.size, generator=torch.Generator().manual_seed(0))
    return noise.to(device, dtype)
