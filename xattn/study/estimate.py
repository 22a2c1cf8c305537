"""How long a study will take and how much disk it needs: an estimate, and what it rests on."""

from __future__ import annotations

import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xattn.study.standing import DONE, Standing
from xattn.study.steps import Records, Step

if TYPE_CHECKING:
    from xattn.training.recipe import Recipe

_FIXED = 20.0
"""Seconds that a step without a network takes, of the order of, until one of its kind was done."""
_BATCH = 8


@dataclass(frozen=True)
class Estimate:
    """What is left to do.

    Attributes:
        seconds: per kind of step, on this machine by one process.
        disk: bytes.
        free: bytes that are free on the disk of the study.
        done: kinds whose rate is that of steps done in this folder.
        timed: kinds whose rate is that of the networks, timed on a few images.
        assumed: kinds of which nothing is known.
    """

    seconds: Mapping[str, float]
    disk: float
    free: int
    done: tuple[str, ...]
    timed: tuple[str, ...]
    assumed: tuple[str, ...]


def estimate(
    steps: Sequence[Step],
    found: Mapping[str, Standing],
    records: Records,
    forward: Mapping[str, float],
) -> Estimate:
    """Estimate what is left of a study.

    A step takes what its kind took in this folder, per unit of work and second of its network; a
    kind of which none was done, what its passes through the network take.

    Args:
        steps: of the plan.
        found: how far each is; what is done takes nothing.
        records: of the study.
        forward: recipe of a training -> seconds of an image's pass forwards.
    """
    rates = _rates(steps, records, forward)
    seconds: dict[str, float] = defaultdict(float)
    basis: dict[str, str] = {}
    disk = 0.0
    for step in steps:
        if found[step.name].state == DONE:
            continue
        units = _units(step, forward)
        if step.kind in rates:
            seconds[step.kind] += units * rates[step.kind]
            basis[step.kind] = "done"
        else:
            seconds[step.kind] += units if step.model else _FIXED
            basis[step.kind] = "timed" if step.model else "assumed"
        disk += step.disk
    there = records.out.resolve()
    while not there.exists():
        there = there.parent
    kinds = {way: tuple(k for k in seconds if basis[k] == way) for way in set(basis.values())}
    return Estimate(
        dict(seconds), disk, shutil.disk_usage(there).free,
        *(kinds.get(way, ()) for way in ("done", "timed", "assumed")),
    )  # fmt: skip


def time_forward(recipe: Recipe, device: str) -> float:
    """Return the seconds that an image's pass through the network of a recipe takes here.

    Args:
        recipe: of the training; weights that it begins with are not looked for.
        device: "auto", "cpu", "cuda" or "mps".
    """
    import torch

    from xattn.models import build
    from xattn.models.device import resolve_device

    network = build(recipe.model.architecture, 2, **recipe.model.options).eval()
    place = resolve_device(device)
    network.to(place)
    batch = torch.zeros(_BATCH, 3, *recipe.data.size, device=place)
    took = []
    with torch.inference_mode():
        for _ in range(4):
            started = time.perf_counter()
            network(batch).sum().item()  # waits for the device
            took.append(time.perf_counter() - started)
    return statistics.median(took[1:]) / _BATCH


def _units(step: Step, forward: Mapping[str, float]) -> float:
    """Return a step's work, of a network in seconds of its passes; 1 where none is known."""
    return step.work * forward.get(step.model, 1.0) or 1.0


def _rates(
    steps: Sequence[Step], records: Records, forward: Mapping[str, float]
) -> dict[str, float]:
    """Return seconds per unit of the kinds of which a step was done here."""
    sums: dict[str, tuple[float, float]] = {}
    for step in steps:
        record = records.read(step.name)
        if record.get("done"):
            took, units = sums.get(step.kind, (0.0, 0.0))
            sums[step.kind] = took + record["seconds"], units + _units(step, forward)
    return {kind: took / units for kind, (took, units) in sums.items()}
