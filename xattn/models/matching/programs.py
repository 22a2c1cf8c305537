"""Programs: what they must do to be taken for an architecture, and their layers without one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.images.preprocessing import Preprocessing
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.opening import open_program
from xattn.models.checkpoints.programs import Program, shows_no_layers
from xattn.models.probing.steady import what_else_matters

SIZE = Preprocessing().size
"""Of images on which a program is tried that takes any."""


def fixed_size(module: nn.Module) -> tuple[int, int] | None:
    """Return the one size that a program takes; None if it takes any."""
    return module.size if isinstance(module, Program) else None


@torch.no_grad()
def require_same_logits(
    checkpoint: Checkpoint, module: nn.Module, size: tuple[int, int], channels: int = 3
) -> None:
    """Compare a program's logits with those of the architecture that has its weights.

    Raises:
        CheckpointError: they differ, or it takes other inputs.
    """
    assert checkpoint.module is not None
    x = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))
    try:
        scripted = checkpoint.module.eval()(x)
    except RuntimeError as err:
        raise CheckpointError(
            f"Expected {checkpoint.path} to take inputs of {tuple(x.shape)} as its architecture "
            "does, but its forward raised; load the original module instead"
        ) from err
    if not isinstance(scripted, Tensor):
        raise CheckpointError(
            f"Expected logits from {checkpoint.path}, but it gives a {type(scripted).__name__}"
        )
    difference = float((scripted - module(x)).abs().max())
    if difference > 1e-3 * max(1.0, float(scripted.abs().max())):
        raise CheckpointError(
            f"The weights of {checkpoint.path} fit, but its logits differ by {difference:.2g}: it "
            "does something else than the architecture; load the original module instead"
        )


def require_evaluating(checkpoint: Checkpoint, size: tuple[int, int]) -> None:
    """Refuse a program that was written while its network was in training mode.

    Raises:
        CheckpointError: it was.
    """
    assert checkpoint.module is not None
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        found = what_else_matters(checkpoint.module.eval(), x)
    except Exception:  # it takes another size, or several inputs: said where it is asked
        return
    if found:
        raise CheckpointError(
            f"Expected a program of a network in evaluation mode in {checkpoint.path}, but {found};"
            " call eval() of the network before it is exported"
        )


def opened(module: nn.Module, size: tuple[int, int]) -> tuple[nn.Module, str]:
    """Return a program as a network of layers, if it can be made one; and what was done."""
    called = shows_no_layers(module)
    why = ""
    if isinstance(module, Program):
        try:
            network = open_program(module, size)
        except CheckpointError as err:
            # Predictions can still be made; asking for a map says why there is none.
            why = f" ({err})"
        else:
            return network, f"layers and gradients by conversion of {called}; the same outputs"
    return module, f"{called} predicts, but shows no layers to explain{why}"
