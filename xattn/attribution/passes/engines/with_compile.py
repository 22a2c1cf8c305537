"""torch.compile with its weights frozen; needs a C++ compiler."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from xattn.attribution.passes.engines.registry import EngineError, Extract, Run, engine
from xattn.attribution.passes.precision import DTYPES, in_full
from xattn.settings.precision import FULL


@engine("compile", seconds=60.0, saves=0.4, precisions=tuple(DTYPES))
def build(extract: Extract, example: Tensor, precision: str = FULL) -> Run:
    """Compile the layers with torch.compile, weights frozen into the code.

    Raises:
        EngineError: there is no C++ compiler, or the network is none that it takes.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise EngineError("no C++ compiler is there")
    import torch._inductor.config as settings

    try:
        with settings.patch(freezing=True), torch.no_grad(), _autocast(precision):
            program: Any = torch.compile(_whole(extract, example))
            program(example)
    except Exception as err:  # whatever it makes of a foreign network
        raise EngineError(f"{type(err).__name__}: {str(err).splitlines()[0]}") from err

    def run(batch: Tensor) -> list[Tensor]:
        with settings.patch(freezing=True), torch.no_grad(), _autocast(precision):
            return [in_full(output) for output in program(batch)]

    return run


def _autocast(precision: str) -> AbstractContextManager[None]:
    if precision == FULL:
        return nullcontext()
    return torch.autocast("cpu", dtype=DTYPES[precision])


def _whole(extract: Extract, example: Tensor) -> Any:
    """Return the layers as one program: hooks would break what is compiled into pieces."""
    with torch.no_grad():
        traced = torch.export.export(extract, (example,), strict=False)
    return traced.module()
