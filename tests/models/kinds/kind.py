"""A kind of checkpoint: how people save it, and what is promised of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.models.nets import CLASSES, with_statistics

Host = Callable[[Tensor], Tensor]
"""From a batch (n, 3, height, width), normalised, to the logits of the library itself."""
Build = Callable[[Path], tuple[Path, Host | None]]
"""Writes the file into a folder; returns what is loaded, and the host (None of what is refused)."""

WORKS, PREDICTS, REFUSED = "works", "predicts only", "refused"
NAMED = {"classes": CLASSES}


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    Attributes:
        library: who wrote the file.
        what: the file, in the table's words.
        build: makes it.
        options: what `load` must be told.
        verdict: works, predicts only or refused.
        because: of what is refused: words of the message.
        packages: that the row needs beside those of the project.
    """

    library: str
    what: str
    build: Build
    options: dict[str, Any] = field(default_factory=dict)
    verdict: str = WORKS
    because: str = ""
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what sets the row apart."""
        return f"{self.library}: {self.what}"


def logits_of(net: nn.Module) -> Host:
    """Take the host's logits: of a tensor, or of what the network returns them in."""

    @torch.no_grad()
    def host(x: Tensor) -> Tensor:
        returned = net.eval()(x)
        return returned if isinstance(returned, Tensor) else returned["logits"]

    return host


def lively(net: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network weights from which its logits differ between images."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
            elif parameter.ndim == 1:
                parameter.add_(torch.rand(parameter.shape, generator=generator) * 0.1)
    return with_statistics(net).eval()
