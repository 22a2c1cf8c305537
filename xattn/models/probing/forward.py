"""One forward pass that leaves a model as it was, and captures what its layers give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xattn.models.attention import is_attention


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode for the block, then every part back as it was."""
    training = [part for part in module.modules() if part.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


def forward_hooked(module: nn.Module, x: Tensor) -> tuple[Any, list[tuple[str, Tensor]]]:
    """Run one forward pass and capture the output of every layer that gives a tensor."""
    names = {part: name for name, part in module.named_modules() if name}
    outputs: list[tuple[str, Tensor]] = []

    def hook(part: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, tuple) and output and is_attention(part):
            output = output[0]  # (output, weights), as torch's and Hugging Face's return
        if isinstance(output, Tensor):
            outputs.append((names[part], output))

    with ExitStack() as stack:
        for part in names:
            stack.callback(part.register_forward_hook(hook).remove)
        returned = module(x.requires_grad_(True).clone())  # a model may change its input in place
    return returned, outputs


def way_out(err: Exception) -> str:
    """Return a hint where what a forward raised tells what would help, else nothing."""
    text = str(err).lower()
    if isinstance(err, TypeError) and "argument" in text:
        return "; say how it is called of the image alone by xattn.wrap(..., forward=...)"
    if "channels" in text:
        return "; make its channels of a colour image by xattn.wrap(..., forward=...)"
    if re.search(r"\bsizes?\b|shape|dimension|divisible|height|width", text):
        return "; is another --size meant?"
    return ""


def model_dtype(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """Return the type and device of a module's first floating-point parameter."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return parameter.dtype, parameter.device
    return torch.float32, torch.device("cpu")


def generator() -> torch.Generator:
    """Return random numbers that are the same in every call."""
    return torch.Generator().manual_seed(0)


def probe_input(
    module: nn.Module, size: tuple[int, int], seed: int = 0, channels: int = 3
) -> Tensor:
    """Return one random input (1, channels, height, width) of the module's type and device."""
    dtype, device = model_dtype(module)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, *size, generator=generator).to(device, dtype)
