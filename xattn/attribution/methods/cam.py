"""The CAM family of one pass: activations of one layer, weighted by how they move the logit.

Activations A_k and gradients g_k = dy/dA_k, y the logit of the explained class, are those of the
explained layer; sums run over its positions. Maps are unnormalised: two images of one run can be
compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.attribution.passes.capture import Captured
from xattn.attribution.registry import MethodCard, Needs, register
from xattn.attribution.shifts import CamMethod
from xattn.models.interface import Model


def _card(name: str, source: str, signed: bool = False) -> MethodCard:
    return MethodCard(
        name=name,
        family="cam",
        source=source,
        needs=Needs.GRADIENTS,
        resolution="grid of the explained layer",
        signed=signed,
    )


def weighted_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """Sum activations (n, C, h, w) over channels, weighted by (n, C), without building the terms.

    Returns:
        (n, h, w).
    """
    return torch.einsum("nc,nchw->nhw", weights, activations)


@register
@dataclass(frozen=True)
class GradCam(CamMethod):
    """Grad-CAM: ReLU of the activations summed with their mean gradients as weights (eq. 1, 2)."""

    card = _card("gradcam", "Selvaraju et al. 2017, arXiv:1610.02391")

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k a_k A_k) with a_k the mean of g_k over positions; (n, h, w), >= 0."""
        activations, gradients = captured.at_layer()
        return F.relu(weighted_sum(gradients.mean(dim=(2, 3)), activations))


@register
@dataclass(frozen=True)
class GradCamPlusPlus(CamMethod):
    """Grad-CAM++: positive gradients, weighted by how few positions they share the class with."""

    card = _card("gradcam++", "Chattopadhay et al. 2018, arXiv:1710.11063")

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k w_k A_k), w_k = sum_ij a ReLU(g), a = g^2 / (2 g^2 + g^3 sum A) (eq. 19).

        The paper differentiates exp(y); its factor exp(y) in w_k, one number per image, is left
        out, so that maps stay in units of the logit. Where g is not 0, a is 1 / (2 + g sum A).
        """
        activations, gradients = captured.at_layer()
        below = 2 + gradients * activations.sum(dim=(2, 3), keepdim=True)
        alpha = torch.where(below == 0, 0, 1 / below)
        weights = (alpha * F.relu(gradients)).sum(dim=(2, 3))
        return F.relu(weighted_sum(weights, activations))


@register
@dataclass(frozen=True)
class HiResCam(CamMethod):
    """HiResCAM: gradient times activation at each position, which keeps their sum (eq. 5)."""

    card = _card("hirescam", "Draelos and Carin 2020, arXiv:2011.08891", signed=True)

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = sum_k g_k A_k; (n, h, w), negative where a position speaks against the class."""
        activations, gradients = captured.at_layer()
        return torch.einsum("nchw,nchw->nhw", gradients, activations)


@register
@dataclass(frozen=True)
class XGradCam(CamMethod):
    """XGrad-CAM: gradients averaged with the activations themselves as weights (eq. 8)."""

    card = _card("xgradcam", "Fu et al. 2020, arXiv:2008.02312")

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k w_k A_k) with w_k = sum g_k A_k / sum A_k, 0 where the sum is 0."""
        activations, gradients = captured.at_layer()
        total = activations.sum(dim=(2, 3))
        moved = torch.einsum("nchw,nchw->nc", gradients, activations)
        return F.relu(weighted_sum(torch.where(total == 0, 0, moved / total), activations))


@register
@dataclass(frozen=True)
class EigenCam(CamMethod):
    """Eigen-CAM: activations projected on their first principal direction, whatever the class."""

    card = MethodCard(
        name="eigencam",
        family="cam",
        source="Muhammad and Yeasin 2020, arXiv:2008.00299",
        needs=Needs.ACTIVATIONS,
        resolution="grid of the explained layer",
        signed=True,
        by_class=False,
    )

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = O v with O the activations as (positions, C) and v its first right singular vector.

        As in the paper O is not centred (pytorch-grad-cam centres it). A singular vector has no
        sign of its own: the one is taken that makes the map's sum positive.
        """
        assert captured.activations is not None
        n, _, h, w = captured.activations.shape
        O = captured.activations.flatten(2).transpose(1, 2)  # noqa: E741 -- as in the paper
        return first_projection(O).reshape(n, h, w)


def first_projection(matrices: Tensor) -> Tensor:
    """Project the rows of each matrix (n, p, C) on its first right singular vector.

    It is the square root of the largest eigenvalue times the eigenvector of the smaller of the
    two Gram matrices, brought to the rows: no singular value decomposition of the whole is needed.

    Returns:
        (n, p), the sign chosen so that each sums to a positive number; NaN where a row is.
    """
    finite = torch.isfinite(matrices).all(dim=2).all(dim=1)
    safe = torch.where(finite[:, None, None], matrices, 0)
    if safe.shape[1] <= safe.shape[2]:
        values, vectors = torch.linalg.eigh(safe @ safe.transpose(1, 2))
        found = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(safe.transpose(1, 2) @ safe)
        found = (safe @ vectors[:, :, -1:])[:, :, 0]
    found = torch.where(found.sum(dim=1, keepdim=True) < 0, -found, found)
    return torch.where(finite[:, None], found, torch.nan)
