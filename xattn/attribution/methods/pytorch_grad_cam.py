"""Methods that pytorch-grad-cam has and this project has not, by its own code.

They go by `pytorch-grad-cam/NAME`. Where a formula needs no more than activations and gradients,
it is given those of the one pass; maps are taken before the library scales them, since its
min-max scaling would make an image of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.model_state import preserved, quiet
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.attribution.shifts import CamMethod
from xattn.errors import MethodError
from xattn.models.interface import Model

PREFIX = "pytorch-grad-cam/"


@dataclass(frozen=True)
class LibraryFormula(CamMethod):
    """A formula of the library on the activations and gradients of the one pass."""

    library_class: ClassVar[str]

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, h, w) as the library's `get_cam_image` gives it."""
        import pytorch_grad_cam

        assert captured.activations is not None
        activations = _numpy(captured.activations)
        gradients = None if captured.gradients is None else _numpy(captured.gradients)
        layer = model.module.get_submodule(model.target_layer)
        with preserved(model.module), quiet():  # its hooks go, too
            library = getattr(pytorch_grad_cam, self.library_class)(model.module, [layer])
            found = library.get_cam_image(
                captured.inputs, layer, None, activations, gradients, False
            )
        return torch.from_numpy(np.asarray(found)).to(captured.activations)


def _numpy(values: Tensor) -> Any:
    return values.detach().cpu().numpy()


def _card(name: str, source: str, *, gradients: bool, signed: bool) -> MethodCard:
    return MethodCard(
        name=PREFIX + name,
        family="cam",
        source=source,
        needs=Needs.GRADIENTS if gradients else Needs.ACTIVATIONS,
        resolution="grid of the explained layer",
        signed=signed,
        cost="the one pass, and its own arithmetic",
        by_class=gradients,
    )


@register
@dataclass(frozen=True)
class GradCamElementWise(LibraryFormula):
    """HiResCAM with each product rectified."""

    library_class = "GradCAMElementWise"
    card = _card(
        "gradcam-elementwise",
        "pytorch-grad-cam; as HiResCAM with each product rectified, arXiv:2011.08891",
        gradients=True,
        signed=False,
    )


@register
@dataclass(frozen=True)
class EigenGradCam(LibraryFormula):
    """Eigen-CAM of gradient times activation; its sign is arbitrary."""

    library_class = "EigenGradCAM"
    card = _card(
        "eigengradcam",
        "pytorch-grad-cam; as Eigen-CAM of gradient times activation, arXiv:2008.00299; "
        "sign arbitrary",
        gradients=True,
        signed=True,
    )


@register
@dataclass(frozen=True)
class KpcaCam(LibraryFormula):
    """KPCA-CAM: Eigen-CAM by a kernel principal component; its sign is arbitrary."""

    library_class = "KPCA_CAM"
    card = _card(
        "kpcacam",
        "Karmani et al. 2024, arXiv:2410.00267; sign arbitrary",
        gradients=False,
        signed=True,
    )


@register
@dataclass(frozen=True)
class Fem(LibraryFormula):
    """FEM: channels cut off at two standard deviations above their mean, weighted by that mean."""

    library_class = "FEM"
    card = _card(
        "fem",
        "Fuad et al. 2020, doi:10.1109/IPTA50016.2020.9286629",
        gradients=False,
        signed=True,
    )


@register
@dataclass(frozen=True)
class FullGrad(Method):
    """FullGrad by pytorch-grad-cam: input and bias gradients of all layers, scaled per layer."""

    card = MethodCard(
        name=PREFIX + "fullgrad",
        family="pixel",
        source="Srinivas and Fleuret 2019, arXiv:1905.00780",
        needs=Needs.MODEL,
        resolution="input",
        cost="about 4 forwards; the library scales it to [0, 1] for each image",
        models="convolutional; the library knows biases of convolutions and batch norms alone",
    )

    def check(self, model: Model) -> None:
        """Refuse networks whose other layers have biases that the library ignores."""
        super().check(model)
        for name, part in model.module.named_modules():
            if isinstance(part, nn.LayerNorm | nn.MultiheadAttention | nn.GroupNorm):
                raise MethodError(
                    f"Method {self.name!r} makes no sense for {model.architecture}: it ignores "
                    f"the bias of {name!r}; use integrated-gradients"
                )
        kinds = (nn.Conv2d, nn.BatchNorm2d)
        biased = {
            name
            for name, part in model.module.named_modules()
            if isinstance(part, kinds) and part.bias is not None
        }
        ran = [one.name for one in model.seen if one.name in biased]
        laid_out = [name for name, _ in model.module.named_modules() if name in set(ran)]
        for name, other in zip(ran, laid_out, strict=False):
            if name != other:
                raise MethodError(
                    f"Method {self.name!r} makes no sense for {model.architecture}: it takes the "
                    f"biases of layers in their order in the network, but {name!r} runs before "
                    f"{other!r}; use integrated-gradients"
                )

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, height, width) in [0, 1]."""
        from pytorch_grad_cam import FullGrad as LibraryFullGrad
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        assert captured.inputs is not None
        targets = [ClassifierOutputTarget(t) for t in captured.targets.tolist()]
        found = []
        # Not as its own context, for that prints an IndexError and passes over it.
        with preserved(model.module), quiet():
            library = LibraryFullGrad(model.network, [])
            # One by one: the library divides by the largest value of a whole batch's layer.
            for image, target in zip(torch.split(captured.inputs, 1), targets, strict=True):
                found.append(library(image.clone(), [target]))
        return torch.from_numpy(np.concatenate(found)).to(captured.inputs)
