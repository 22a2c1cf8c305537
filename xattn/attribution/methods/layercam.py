"""LayerCAM, of the explained layer alone or with earlier stages fused in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.attribution.passes.capture import Captured, capture
from xattn.attribution.registry import INPUT, MethodCard, Needs, register
from xattn.attribution.shifts import CamMethod
from xattn.errors import MethodError, UsageError
from xattn.images.cells import Cells, interpolation
from xattn.models.interface import Model

GAMMA = 2.0
"""How much maps of earlier stages are raised before they are fused in."""


@register
@dataclass(frozen=True)
class LayerCam(CamMethod):
    """LayerCAM: positive gradients weigh each position of each channel on their own (eq. 6, 7).

    Attributes:
        stages: how many stages are fused: the explained layer, and the last layers before the grid
            became as coarse as that of the stage after.
    """

    card = MethodCard(
        name="layercam",
        family="cam",
        source="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
        needs=Needs.GRADIENTS,
        resolution="grid of the explained layer, or of the earliest stage",
    )
    stages: int = 1

    def __post_init__(self) -> None:
        """Make sure that there is a stage."""
        super().__post_init__()
        if self.stages < 1:
            raise UsageError(
                f"Expected at least 1 as stages of method 'layercam', but got {self.stages}"
            )

    @property
    def needs(self) -> Needs:
        """The model itself, too, where other layers are asked for."""
        return self.card.needs | Needs.MODEL if self.stages > 1 else self.card.needs

    def check(self, model: Model) -> None:
        """Look whether the model has so many stages.

        Raises:
            MethodError: it has not, or as of `CamMethod.check`.
        """
        super().check(model)
        for each in model.members or (model,):
            _ = stage_layers(each, self.stages)

    def map_layer(self, model: Model) -> str:
        """Return the last layer of the earliest of the stages."""
        if model.on_pixels:
            return INPUT
        return stage_layers(model.members[0] if model.members else model, self.stages)[-1]

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k ReLU(g_k) A_k); (n, h, w), >= 0.

        With several stages each L is divided by its largest value, those of earlier stages become
        tanh(2 L), all are brought to the finest grid, each cell where it looks, and the largest
        counts. In the paper maps then are fractions of 1; here they are multiplied by the largest
        value of the explained layer, so that they keep the unit of the logit, and an image without
        positive attribution there has none.
        """
        deep = _layercam(captured)
        if self.stages == 1:
            return deep
        layers = stage_layers(model, self.stages)
        assert captured.inputs is not None
        top = deep.amax(dim=(1, 2), keepdim=True)
        fine = model.cells(layers[-1])
        fused = _brought(_unit(deep), model.cells(), fine)
        for layer in layers[1:]:
            found = _layercam(capture(model.at_layer(layer), captured.inputs, captured.targets))
            raised = torch.tanh(GAMMA * _unit(found))
            fused = torch.maximum(fused, _brought(raised, model.cells(layer), fine))
        return fused * top


def _layercam(captured: Captured) -> Tensor:
    activations, gradients = captured.at_layer()
    return F.relu(torch.einsum("nchw,nchw->nhw", F.relu(gradients), activations))


def _unit(maps: Tensor) -> Tensor:
    """Divide maps (n, h, w) by their largest values; those of zeros stay zero."""
    top = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(top == 0, 0, maps / top)


def _brought(maps: Tensor, own: Cells, other: Cells) -> Tensor:
    """Read maps (n, h, w) at the places of other cells."""
    if own == other:
        return maps
    rows, columns = (
        torch.from_numpy(interpolation(mine, np.asarray(theirs))).to(maps)
        for mine, theirs in ((own.y, other.y), (own.x, other.x))
    )
    return rows @ maps @ columns.T


def stage_layers(model: Model, stages: int) -> list[str]:
    """Name the explained layer, and the last layer of each of the stages before it.

    Args:
        model: what is explained.
        stages: how many, with that of the explained layer.

    Raises:
        MethodError: there are fewer.
    """
    names = [seen.name for seen in model.seen]
    found, grid = [model.target_layer], model.target_layout.grid
    for seen in reversed(model.seen[: names.index(model.target_layer)]):
        if len(found) == stages:
            break
        usable = seen.explainable and seen.calls == 1 and seen.layout and seen.reach > 0.5
        if usable and seen.layout and min(np.subtract(seen.layout.grid, grid)) > 0:
            found.append(seen.name)
            grid = seen.layout.grid
    if len(found) < stages:
        have = f"{len(found)}" if len(found) > 1 else f"one grid, of {grid[0]} x {grid[1]} cells"
        raise MethodError(
            f"Method 'layercam[stages={stages}]' needs as many stages, each of a finer grid, but "
            f"{model.architecture} has {have}; layercam[shifts=4] makes finer maps of one grid"
        )
    return found
