"""Which engine a copy of a model runs in, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xattn.attribution.passes.engines.registry import ENGINES, Engine, EngineError
from xattn.attribution.passes.engines.trunk import Trunk
from xattn.errors import UsageError, near
from xattn.models.interface import Model
from xattn.models.probing.forward import model_dtype
from xattn.settings.precision import FULL

AUTO, TORCH, NONE = "auto", "torch", "none"
"""The engine that pays off; the folded copy; the model itself."""
_PAYS = 1.5
"""So much more must be saved than compiling takes."""
FEW_IMAGES = 200
"""So few are not worth finding out how long one takes."""


@dataclass(frozen=True)
class Wanted:
    """What a run asks of an engine.

    Attributes:
        accelerate: name of an engine, "auto", "torch" or "none".
        images: how many will be passed, for `auto`; 0 if that is not known.
        batch: images of a pass.
        precision: "32", "bf16" or "16".
    """

    accelerate: str = TORCH
    images: int = 0
    batch: int = 16
    precision: str = FULL


def choices() -> list[str]:
    """Return what `--accelerate` may be."""
    return [AUTO, TORCH, *ENGINES, NONE]


def require_engine(name: str) -> None:
    """Make sure that an engine is known and installed.

    Args:
        name: as for `--accelerate`.

    Raises:
        UsageError: it is not.
    """
    if name not in choices():
        raise UsageError(f"Unknown engine {name!r}{near(name, choices())}")
    one = ENGINES.get(name)
    if one is not None and not one.installed:
        raise UsageError(
            f"Expected {one.package} for --accelerate {name}, but it is not installed; "
            f"pip install 'xattn[{one.extra}]'"
        )


def engine_for(
    wanted: Wanted, model: Model, noise: Callable[[int], Tensor]
) -> tuple[Engine | None, str]:
    """Choose an engine, or none and the reason.

    Args:
        wanted: by a run.
        model: the user's.
        noise: makes inputs (n, channels, height, width) of a number of images.

    Raises:
        UsageError: there is no such engine, or it is not installed.
    """
    name = wanted.accelerate
    require_engine(name)
    if name in (TORCH, NONE):
        return None, ""
    dtype, device = model_dtype(model.module)
    suits = device.type == "cpu" and dtype == torch.float32
    fits = "" if suits else "engines compute on the CPU, and in float32"
    if name != AUTO:
        fits = fits or _no_precision(ENGINES[name], wanted.precision)
        return (None, fits) if fits else (ENGINES[name], "")
    there = [one for one in ENGINES.values() if one.package and one.installed]
    if fits or not there:
        return None, fits or "no engine is installed; pip install 'xattn[fast]'"
    there = [one for one in there if not _no_precision(one, wanted.precision)]
    if not there:
        return None, f"no engine that is installed computes in {wanted.precision}"
    if wanted.images < FEW_IMAGES:
        return None, f"compiling does not pay off for fewer than {FEW_IMAGES} images"
    best = max(there, key=lambda one: one.saves)
    saved = best.saves * wanted.images * seconds_per_image(model, noise(wanted.batch))
    if saved < _PAYS * best.seconds:
        return None, (
            f"compiling takes about {best.seconds:.0f} s, and {wanted.images} images would save "
            f"about {saved:.0f} s"
        )
    return best, ""


def _no_precision(engine: Engine, precision: str) -> str:
    known = precision == FULL or precision in engine.precisions
    return "" if known else f"{engine.name} does not compute in {precision}"


def accelerated(copied: Model, engine: Engine, example: Tensor, precision: str = FULL) -> str:
    """Let a private copy run in an engine; return why not, or "".

    Args:
        copied: is changed, and of no use where this fails.
        engine: which.
        example: inputs (n, channels, height, width), n those of a pass.
        precision: of the engine's layers.
    """
    try:
        copied.trunk = trunk = Trunk(copied, engine, len(example), precision)
    except EngineError as err:
        return str(err)
    copied.unfused = False
    with torch.no_grad():
        copied.logits(example)
    return str(trunk.refused)


def seconds_per_image(model: Model, example: Tensor) -> float:
    """Time one pass.

    Args:
        model: on the CPU.
        example: inputs (n, channels, height, width).
    """
    with torch.no_grad():
        model.logits(example)  # the first pass allocates
        began = time.perf_counter()
        model.logits(example)
        return (time.perf_counter() - began) / len(example)
