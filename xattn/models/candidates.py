"""Which known architectures have the keys and shapes of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from xattn.models.state import likely_architecture


def suggest(state: Mapping[str, Tensor], besides: str | None = None) -> str:
    """Return `"; its keys look like --arch NAME"`, or nothing."""
    likely = likely_architecture(state)
    return f"; its keys look like --arch {likely}" if likely and likely != besides else ""
