"""The CAM family: activations of one layer, weighted by how they move the target logit."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from xattn.explain.evidence import Evidence
from xattn.explain.registry import Card, Method, method
from xattn.models.interface import Model


@method
class GradCam(Method):
    """Grad-CAM: ReLU of the activations summed with their mean gradients as weights (eq. 1, 2)."""

    card = Card(
        name="gradcam",
        source="Selvaraju et al. 2017, arXiv:1610.02391",
        needs=frozenset({"gradients"}),
        resolution="grid of the explained layer",
        signed=False,
    )

    @staticmethod
    def maps(model: Model, evidence: Evidence) -> Tensor:
        """L = ReLU(sum_k a_k A_k) with a_k the mean of dy/dA_k over positions; (n, h, w), >= 0."""
        activations, gradients = evidence.at_layer()
        weights = gradients.mean(dim=(2, 3))
        return F.relu((weights[:, :, None, None] * activations).sum(dim=1))
