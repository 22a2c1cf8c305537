"""Whether a map hangs on the model, and not on noise in the image.

Sources: Yeh et al. 2019, arXiv:1901.09392 (sensitivity); Adebayo et al. 2018, arXiv:1810.03292
(randomisation of the model, from the logits down).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from xattn.analysis.faithfulness.controls import uniform
from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.fast_copy import private_copy
from xattn.attribution.run.plan import Plan
from xattn.models.interface import Model

COPIES = 4
"""Noisy copies of each image."""
NOISE = 5
"""Standard deviation of their noise, in grey levels of 255."""
DEPTHS = {"head": 0.0, "third": 1 / 3, "two_thirds": 2 / 3, "all": 1.0}
"""Fraction of the layers with weights, from the logits on, that is randomised; at least one."""

Maps = dict[str, Tensor]
"""Maps (n, h, w) by the name they are stored under, float64 on the CPU."""


def make_maps(model: Model, plan: Plan, inputs: Tensor, targets: Sequence[Tensor]) -> Maps:
    """Make maps of a batch, for given classes, as `explain` makes them.

    Args:
        model: stays as it is.
        plan: which maps.
        inputs: (n, 3, height, width).
        targets: for each target of the plan, (n,) classes.

    Returns:
        Maps (n, h, w) by name, on the CPU.
    """
    _, maps = attribute_each(model, inputs, plan.jobs, targets)
    return {name: found.detach().to("cpu", torch.float64) for name, found in maps.items()}


def noisy(model: Model, inputs: Tensor, ids: Sequence[str], seed: int) -> Iterator[Tensor]:
    """Yield copies of inputs (n, 3, height, width) with Gaussian noise of their own.

    Args:
        model: knows how pixels are normalised.
        inputs: (n, 3, height, width), normalised.
        ids: of the images, which draw their own noise.
        seed: of all draws.

    Returns:
        `COPIES` copies, as `inputs`.

    Source: after Yeh et al., NeurIPS 2019.
    """
    std = torch.tensor(model.preprocessing.std).to(inputs)[:, None, None]
    for copy in range(COPIES):
        drawn = uniform(ids, tuple(inputs.shape[1:]), seed, "noise", str(copy))
        yield inputs + NOISE / 255 / std * torch.special.ndtri(drawn.clamp(1e-12)).to(inputs)


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """Return by how much maps (n, h, w) differ, relative to the mean of their sizes.

    |after - before| / ((|after| + |before|) / 2), Euclidean: 0 for no change, 2 for the opposite,
    or a map that comes from nothing. By the first map's size alone, as is usual, one map that is
    all but 0 would decide the mean.

    Returns:
        (n,); NaN where the first map is 0.

    Args:
        before, after: (n, h, w).
    """
    sizes = [m.flatten(1).norm(dim=1) for m in (before, after)]
    moved = (after - before).flatten(1).norm(dim=1)
    return torch.where(sizes[0] > 0, 2 * moved / (sizes[0] + sizes[1]), torch.nan)


def similarity(first: Tensor, second: Tensor) -> NDArray[np.float64]:
    """Return Spearman's correlation over the cells of two maps (n, h, w).

    Returns:
        (n,); NaN where the first map cannot be ranked, 0 where only the second cannot (NaN, or the
        same everywhere: nothing of the first is left in it).

    Args:
        first, second: (n, h, w).
    """
    a, b = (_unit_ranks(m.flatten(1).numpy()) for m in (first, second))
    found: NDArray[np.float64] = (a * np.nan_to_num(b)).sum(axis=1)
    return found


def _unit_ranks(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.isfinite(flat).all(axis=1, keepdims=True)
    ranks = rankdata(np.where(finite, flat, 0), axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(norm > 0, centred / np.where(norm > 0, norm, 1), np.nan)


def randomised_models(
    model: Model, batches: Callable[[], Iterator[Tensor]], seed: int
) -> Iterator[tuple[str, Model]]:
    """Yield private copies with ever more of their layers randomised, from the logits down.

    The values of each weight are shuffled, which keeps their spread and needs to know nothing of
    how a layer is built. Batch norms are then given the statistics of what now reaches them, or
    signals would die or explode on the way.

    Args:
        model: stays as it is.
        batches: gives the images, for the statistics.
        seed: same seed, same copies.

    Yields:
        A depth of `DEPTHS` and the copy; nothing if the model cannot be copied.

    Returns:
        Name of each depth in `DEPTHS`, and the model.

    Source: Adebayo et al., NeurIPS 2018.
    """
    layers = _weighted_layers(model)
    for depth, fraction in DEPTHS.items():
        copied = private_copy(model)
        if copied is None:
            return
        for place, name in enumerate(layers[: max(1, math.ceil(fraction * len(layers)))]):
            _shuffle(copied.module.get_submodule(name), seed, place)
        _refresh_statistics(copied, batches)
        yield depth, copied


def _weighted_layers(model: Model) -> list[str]:
    """Name the modules that hold weights of their own, the one nearest the logits first.

    What the probe did not see run (a projection inside `torch.nn.MultiheadAttention`, tokens of
    the model itself) goes with the module that holds it, or comes last.
    """
    holding = [
        name
        for name, part in model.module.named_modules()
        if next(part.parameters(recurse=False), None) is not None
    ]
    ran = {seen.name: place for place, seen in enumerate(model.seen)}

    def place(name: str) -> int:
        parts = name.split(".")
        around = (".".join(parts[:i]) for i in range(len(parts), 0, -1))
        return next((ran[n] for n in around if n in ran), -1)

    return sorted(holding, key=place, reverse=True)


def _shuffle(part: nn.Module, seed: int, place: int) -> None:
    for number, weight in enumerate(part.parameters(recurse=False)):
        order = np.random.default_rng([seed, place, number]).permutation(weight.numel())
        shuffled = weight.detach().flatten()[torch.from_numpy(order).to(weight.device)]
        weight.data = shuffled.reshape(weight.shape).contiguous()


def _refresh_statistics(model: Model, batches: Callable[[], Iterator[Tensor]]) -> None:
    norms = [
        part
        for part in model.module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats
    ]
    if not norms:
        return
    before = [part.momentum for part in norms]
    with torch.inference_mode(False), torch.no_grad():
        for part in norms:
            part.reset_running_stats()
            part.momentum = None  # the plain average over batches
            part.training = True
        for inputs in batches():
            # Batch norm of a single value has no statistics: a small image is shown twice.
            model.module(torch.cat([inputs, inputs]) if len(inputs) == 1 else inputs)
    for part, momentum in zip(norms, before, strict=True):
        part.momentum = momentum
        part.training = False
