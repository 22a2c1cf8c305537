"""A search in a process of its own that may kill itself."""

from __future__ import annotations

import os
import signal

import torch

from tests.training.killed import register_tiny
from xattn.training.search.search import search


def main(recipe: str, annotations: str, out: str, stage: str = "", steps: str = "0") -> None:
    """Search; die without a word when `stage` has done that many steps, counted over all trials."""
    seen = 0

    def move(name: str, _done: int, _total: int) -> None:
        nonlocal seen
        seen += name == stage
        if stage and seen == int(steps):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    register_tiny()
    search(recipe, annotations, out, device="cpu", seed=3, progress=move)
