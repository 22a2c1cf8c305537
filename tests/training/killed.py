"""A training in a process of its own that kills itself.

python tests/training/killed.py RECIPE ANNOTATIONS OUT STAGE STEPS
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch

from xattn.models.architectures.registry import ARCHITECTURES, Architecture
from xattn.training.fit import train


def main(
    recipe: str, annotations: str, out: str, stage: str, steps: str, devices: str = "1"
) -> None:
    """Train, and die without a word when `stage` has done that many steps."""

    def move(name: str, done: int, _total: int) -> None:
        if (name, done) == (stage, int(steps)):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    register_tiny()
    train(recipe, annotations, out, device="cpu", devices=int(devices), progress=move)


def register_tiny() -> None:
    """Register the network of the tests; `tests` is no package that another process finds."""
    spec = spec_from_file_location("conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    conftest = module_from_spec(spec)
    spec.loader.exec_module(conftest)
    ARCHITECTURES["tiny"] = Architecture("tiny", "convolutional", conftest.build_tiny, "")


if __name__ == "__main__":
    main(*sys.argv[1:])
