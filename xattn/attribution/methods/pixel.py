"""The pixel family: attributions to the input itself, by captum, summed over colour channels.

Where a method compares with a baseline, it is the mean colour that the model was normalised with
(0 after normalising), unless it says otherwise. How many inputs are in memory at once depends on
the batch alone, not on the number of steps, samples or windows.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.fx_rewrite import canonize
from xattn.attribution.passes.model_state import preserved, quiet, seeded
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.models.interface import Model

AT_ONCE = 16
"""Perturbed inputs per forward pass, or as many as there are images if these are more."""
STEPS = 50
"""Points on the path of integrated gradients; captum's default."""
SAMPLES = 24
"""Random points per image for gradient SHAP."""
NOISE = 0.1
"""Standard deviation of gradient SHAP's noise, in units of the normalised input."""
WINDOWS = 7
"""How often an occluding window fits the input's side; it moves by half its side."""


def _card(
    name: str, source: str, cost: str, signed: bool = True, models: str = "all"
) -> MethodCard:
    return MethodCard(
        name=name,
        family="pixel",
        source=source,
        needs=Needs.MODEL,
        resolution="input",
        signed=signed,
        cost=cost,
        models=models,
    )


RESCALED = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh, nn.BatchNorm2d)
"""Modules that DeepLIFT's rescale rule covers, or that are linear."""


@dataclass(frozen=True)
class PixelMethod(Method):
    """A method that attributes to each pixel and colour; the map is the sum over colours."""

    @abstractmethod
    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attribute logits of the targets to the inputs: (n, 3, height, width)."""

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, height, width)."""
        assert captured.inputs is not None
        with preserved(model.module):
            inputs = captured.inputs.detach().clone().requires_grad_(True)
            targets = captured.targets.clone()
            return self.attribute_pixels(model, inputs, targets).detach().sum(dim=1)


@register
@dataclass(frozen=True)
class Saliency(PixelMethod):
    """Saliency: size of the logit's gradient at each pixel, summed over colours."""

    card = _card("saliency", "Simonyan et al. 2014, arXiv:1312.6034", "2 forwards", signed=False)

    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """|dy/dx|; the paper takes the largest colour, here they are summed."""
        from captum.attr import Saliency as Captum

        found: Tensor = Captum(model.network).attribute(inputs, target=targets, abs=True)
        return found


@register
@dataclass(frozen=True)
class IntegratedGradients(PixelMethod):
    """Integrated gradients: the gradient averaged on the way from the mean colour to the image.

    A map sums to the logit less the baseline's logit, up to the error of the integral.
    """

    card = _card(
        "integrated-gradients",
        "Sundararajan et al. 2017, arXiv:1703.01365",
        f"about {2 * STEPS} forwards",
    )

    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """Equation 1, Gauss-Legendre quadrature of 50 points."""
        from captum.attr import IntegratedGradients as Captum

        found: Tensor = Captum(model.network).attribute(
            inputs,
            target=targets,
            n_steps=STEPS,
            method="gausslegendre",
            internal_batch_size=max(AT_ONCE, len(inputs)),
        )
        return found


@register
@dataclass(frozen=True)
class GradientShap(PixelMethod):
    """Gradient SHAP: gradients at random points between noisy images and black, grey or white.

    Random numbers are the same for every image and every run.
    """

    card = _card(
        "gradient-shap",
        "Erion et al. 2021, arXiv:1906.10670; Lundberg and Lee 2017, arXiv:1705.07874",
        f"about {2 * SAMPLES} forwards",
    )

    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """One image at a time, for the rest of the batch must not change its random numbers."""
        from captum.attr import GradientShap as Captum

        levels = torch.tensor([0, 128, 255], dtype=torch.uint8, device=inputs.device)
        shape = (3, *inputs.shape[2:], inputs.shape[1])
        baselines = model.normalise(levels[:, None, None, None].expand(shape))
        found = []
        for image, target in zip(torch.split(inputs, 1), targets, strict=True):
            with seeded(inputs.device):
                found.append(
                    Captum(model.network).attribute(
                        image,
                        baselines=baselines,
                        target=target,
                        n_samples=SAMPLES,
                        stdevs=NOISE,
                    )
                )
        return torch.cat(found).to(inputs.dtype)


@register
@dataclass(frozen=True)
class Occlusion(PixelMethod):
    """Occlusion: what the logit loses where a window of the mean colour covers the image."""

    card = _card(
        "occlusion",
        "Zeiler and Fergus 2014, arXiv:1311.2901",
        f"{(2 * WINDOWS - 1) ** 2} forwards",
    )
    differentiates = False

    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """Each pixel gets the mean loss of the windows that cover it, a third of it per colour."""
        from captum.attr import Occlusion as Captum

        height, width = inputs.shape[2:]
        window = (inputs.shape[1], max(1, height // WINDOWS), max(1, width // WINDOWS))
        with torch.no_grad():
            found: Tensor = Captum(model.network).attribute(
                inputs.detach(),
                sliding_window_shapes=window,
                strides=(inputs.shape[1], *(max(1, side // 2) for side in window[1:])),
                target=targets,
                perturbations_per_eval=max(1, AT_ONCE // len(inputs)),
            )
        return (found / 3).to(inputs.dtype)


@register
@dataclass(frozen=True)
class DeepLift(PixelMethod):
    """DeepLIFT with the rescale rule: differences from the mean colour's activations.

    A map sums to the logit less the baseline's logit, but for max-pooling whose windows overlap:
    captum's rule for it loses a few per cent.
    """

    card = _card(
        "deeplift",
        "Shrikumar et al. 2017, arXiv:1704.02685",
        "about 4 forwards",
        models="networks of convolutions, sums, ReLU, sigmoid, tanh and pooling",
    )

    def check(self, model: Model) -> None:
        """Rewrite the network once; that names what has no rule."""
        super().check(model)
        with preserved(model.module):
            canonize(model.network, covered=RESCALED)

    def attribute_pixels(self, model: Model, inputs: Tensor, targets: Tensor) -> Tensor:
        """Done on a private copy in which no activation is shared or called as a function."""
        from captum.attr import DeepLift as Captum

        network = canonize(model.network, covered=RESCALED)
        with quiet():  # it says each time that it sets hooks, here on the copy
            found: Tensor = Captum(network).attribute(inputs, target=targets)
        return found
