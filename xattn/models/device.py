"""Where to compute."""

from __future__ import annotations

import torch

from xattn.errors import UsageError, near

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "mps" into a device that is there.

    Raises:
        UsageError: the name is unknown, or this machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if name not in available:
        raise UsageError(f"Unknown device {name!r}{near(name, DEVICES)}")
    if not available[name]:
        raise UsageError(f"Expected a {name} device, but this machine has none; use --device cpu")
    return torch.device(name)
