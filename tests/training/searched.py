"""A search in a process of its own that may kill itself.

    python tests/training/searched.py RECIPE ANNOTATIONS OUT [STAGE STEPS]

It dies without a word when `stage` has done that many steps, counted over all trials.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch

from xattn.training.search.search import search


def main(recipe: str, annotations: str, out: str, stage: str = "", steps: str = "0") -> None:
    """Search."""
    seen = 0

    def move(name: str, _done: int, _total: int) -> None:
        nonlocal seen
        seen += name == stage
        if stage and seen == int(steps):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    register_tiny()
    search(recipe, annotations, out, device="cpu", seed=3, progress=move)


def register_tiny() -> None:
    """Register the network of the tests; `tests` is no package that another process finds."""
    spec = spec_from_file_location("killed", Path(__file__).with_name("killed.py"))
    assert spec is not None
    assert spec.loader is not None
    killed = module_from_spec(spec)
    spec.loader.exec_module(killed)
    killed.register_tiny()


if __name__ == "__main__":
    main(*sys.argv[1:])
