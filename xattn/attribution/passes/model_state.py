"""Giving a model to the code of a library, and restoring its state afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def preserved(module: nn.Module) -> Iterator[nn.Module]:
    """Preserve a module's state; in the block it is evaluating, frozen, autograd on, not in place.

    Frozen parameters spare their gradients, which no explanation needs. Flags, hooks, `.grad` and
    in-place flags are afterwards as they were, whatever the block does or raises.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for parameter in module.parameters():
            stack.callback(_restore_parameter, parameter, parameter.requires_grad, parameter.grad)
            parameter.grad = None
            parameter.requires_grad_(False)
        for part in module.modules():
            stack.callback(_restore_module, part, _state(part))
            part.training = False
            if getattr(part, "inplace", None) is True:
                part.__dict__["inplace"] = False
        yield module


def _restore_parameter(parameter: nn.Parameter, requires_grad: bool, grad: Any) -> None:
    parameter.requires_grad_(requires_grad)
    parameter.grad = grad


def _state(part: nn.Module) -> dict[str, Any]:
    state = {key: part.__dict__[key] for key in ("training", "inplace") if key in part.__dict__}
    return state | {key: part.__dict__[key].copy() for key in HOOKS if key in part.__dict__}


def _restore_module(part: nn.Module, state: dict[str, Any]) -> None:
    for key, value in state.items():
        if key in HOOKS:
            # The same dictionary as before: handles of the user's own hooks hold on to it.
            part.__dict__[key].clear()
            part.__dict__[key].update(value)
        else:
            part.__dict__[key] = value


@contextmanager
def seeded(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Fix the global random numbers of torch and NumPy for the block, then go on as before."""
    devices = [device] if device.type == "cuda" else []
    before = np.random.get_state()  # noqa: NPY002 -- foreign code draws from the global generator
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of a library; from one thread only, for filters are global."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
