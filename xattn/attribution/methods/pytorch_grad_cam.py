"""Methods that pytorch-grad-cam has and this project has not, by its own code.

They go by `pytorch-grad-cam/NAME`. Where a formula needs no more than activations and gradients,
it is given those of the one pass; maps are taken before the library scales them, since its
min-max scaling would make a picture of anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import Evidence
from xattn.attribution.passes.model_state import lent, quiet
from xattn.attribution.registry import Card, Method, method
from xattn.errors import MethodError
from xattn.models.interface import Model

PREFIX = "pytorch-grad-cam/"
_AT_LAYER = "grid of the explained layer"


class PeerFormula(Method):
    """A formula of the library on our activations and gradients."""

    peer: str

    @classmethod
    def maps(cls, model: Model, evidence: Evidence) -> Tensor:
        """Return (n, h, w) as the library's `get_cam_image` gives it."""
        import pytorch_grad_cam

        assert evidence.activations is not None
        activations = _numpy(evidence.activations)
        gradients = None if evidence.gradients is None else _numpy(evidence.gradients)
        layer = model.module.get_submodule(model.target_layer)
        with lent(model.module), quiet():  # its hooks go with the loan
            library = getattr(pytorch_grad_cam, cls.peer)(model.module, [layer])
            found = library.get_cam_image(
                evidence.inputs, layer, None, activations, gradients, False
            )
        return torch.from_numpy(np.asarray(found)).to(evidence.activations)


def _numpy(values: Tensor) -> Any:
    return values.detach().cpu().numpy()


def _formula(name: str, peer: str, source: str, *, gradients: bool, signed: bool) -> None:
    """Register one formula of the library."""
    card = Card(
        name=PREFIX + name,
        family="cam",
        source=source,
        needs=frozenset({"gradients"} if gradients else {"activations"}),
        resolution=_AT_LAYER,
        signed=signed,
        cost="the one pass, and its own arithmetic",
        by_class=gradients,
    )
    method(type(peer, (PeerFormula,), {"card": card, "peer": peer, "__doc__": peer}))


_formula(
    "gradcam-elementwise",
    "GradCAMElementWise",
    "pytorch-grad-cam; as HiResCAM with each product rectified, arXiv:2011.08891",
    gradients=True,
    signed=False,
)
_formula(
    "eigengradcam",
    "EigenGradCAM",
    "pytorch-grad-cam; as Eigen-CAM of gradient times activation, arXiv:2008.00299; sign arbitrary",
    gradients=True,
    signed=True,
)
_formula(
    "kpcacam",
    "KPCA_CAM",
    "Karmani et al. 2024, arXiv:2410.00267; sign arbitrary",
    gradients=False,
    signed=True,
)
_formula(
    "fem",
    "FEM",
    "Fuad et al. 2020, doi:10.1109/IPTA50016.2020.9286629",
    gradients=False,
    signed=True,
)


@method
class FullGrad(Method):
    """FullGrad by pytorch-grad-cam: input and bias gradients of all layers, scaled per layer."""

    card = Card(
        name=PREFIX + "fullgrad",
        family="pixel",
        source="Srinivas and Fleuret 2019, arXiv:1905.00780",
        needs=frozenset({"model"}),
        resolution="input",
        signed=False,
        cost="about 4 forwards; the library scales it to [0, 1] for each image",
        models="convolutional; the library knows biases of convolutions and batch norms alone",
    )

    @classmethod
    def check(cls, model: Model) -> None:
        """Refuse networks whose other layers have biases that the library would pass over."""
        super().check(model)
        for name, part in model.module.named_modules():
            if isinstance(part, nn.LayerNorm | nn.MultiheadAttention | nn.GroupNorm):
                raise MethodError(
                    f"Method {cls.card.name!r} makes no sense for {model.architecture}: it passes "
                    f"over the bias of {name!r}; use integrated-gradients"
                )

    @staticmethod
    def maps(model: Model, evidence: Evidence) -> Tensor:
        """Return (n, height, width) in [0, 1]."""
        from pytorch_grad_cam import FullGrad as Peer
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        assert evidence.inputs is not None
        targets = [ClassifierOutputTarget(t) for t in evidence.targets.tolist()]
        found = []
        # Not as its own context, for that prints an IndexError and passes over it.
        with lent(model.module), quiet():
            library = Peer(model.network, [])
            # One by one: the library divides by the largest value of a whole batch's layer.
            for image, target in zip(torch.split(evidence.inputs, 1), targets, strict=True):
                found.append(library(image.clone(), [target]))
        return torch.from_numpy(np.concatenate(found)).to(evidence.inputs)
