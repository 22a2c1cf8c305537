"""Maps of an ensemble: through the average where possible, else the mean of the members' maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_

import torch
from torch import Tensor

from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.side_by_side import capture_side_by_side
from xattn.attribution.registry import AT_LAYER, Method, Needs, maps_of
from xattn.images.cells import upsample
from xattn.models.averaging import Ensemble, renormalised

Jobs = Mapping[str, tuple[Method, int]]
Found = tuple[list[Captured], dict[str, Tensor]]

DIFFERENTIATED = ("saliency", "integrated-gradients", "gradient-shap", "occlusion")
"""Methods that take the network as a function alone, so that the average is one like any other."""


def goes_through(method: Method, model: Ensemble) -> bool:
    """Say whether a method explains the average itself, and not each member.

    Args:
        method: any.
        model: the ensemble.
    """
    if method.needs & Needs.MODEL:
        return method.card.name in DIFFERENTIATED
    return not method.needs & ~AT_LAYER and model.alike


def attribute_ensemble(
    model: Ensemble,
    inputs: Tensor,
    jobs: Jobs,
    targets: Sequence[Tensor | None],
    attribute: Callable[..., Found],
) -> Found:
    """Make several methods' maps of a batch, for several targets, of an ensemble.

    Args:
        model, inputs, jobs, targets: as of `attribute_each`.
        attribute: does the same for a member.

    Returns:
        As `attribute_each`.

    Raises:
        MethodError: as `capture`.
    """
    through = {name: job for name, job in jobs.items() if goes_through(job[0], model)}
    needs = reduce(or_, (each.needs for each, _ in through.values()), Needs(0))
    captured = capture_side_by_side(
        model,
        inputs,
        targets,
        gradients=Needs.GRADIENTS in needs,
        activations=Needs.ACTIVATIONS in needs,
    )
    maps = {name: maps_of(each, model, captured[i]) for name, (each, i) in through.items()}
    rest = {name: job for name, job in jobs.items() if name not in through}
    if rest:
        # The class that is explained is the average's, whatever a member would predict.
        wanted = [one.targets for one in captured]
        of_each = []
        for member in model.members:
            own = renormalised(inputs.to(model.device), model.preprocessing, member.preprocessing)
            of_each.append(attribute(member, own, rest, wanted)[1])
        for name, (each, _) in rest.items():
            maps[name] = _mean(model, each, [found[name] for found in of_each])
    return captured, {name: maps[name] for name in jobs}


def _mean(model: Ensemble, method: Method, maps: list[Tensor]) -> Tensor:
    """Average members' maps (n, h, w); on the input's pixels where their cells lie unlike."""
    if method.needs & AT_LAYER and model.on_pixels:
        maps = [
            torch.from_numpy(
                upsample(own.detach().to("cpu", torch.float32).numpy(), method.cells(member))
            ).to(own)
            for own, member in zip(maps, model.members, strict=True)
        ]
    return torch.stack(list(maps)).mean(dim=0)
