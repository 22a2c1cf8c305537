"""Layer-wise relevance propagation through attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.relevance import Propagated, pool, propagate_relevance
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.errors import MethodError
from xattn.models.interface import Model
from xattn.models.probing.forward import probe_input

CLOSE = 1e-3
"""How near relevance and what constants and softmax keep must come to the logit, as a fraction."""


@register
@dataclass(frozen=True)
class AttnLrp(Method):
    """AttnLRP: the logit propagated back through attention, norms and gates to the pixels.

    Half of a product's relevance goes to each factor, the softmax's goes by its Taylor expansion,
    norms and activations pass it on, linear layers and convolutions go by the gamma rule; batch
    norms are folded into the convolutions before them. What biases and the softmax keep is counted:
    with it, relevance adds up to the logit.

    Attributes:
        gamma: of linear layers, 0 or more; 0 is the epsilon rule.
        conv_gamma: of convolutions.
    """

    card = MethodCard(
        name="attnlrp",
        family="relevance",
        source="Achtibat et al. 2024, arXiv:2402.05602; gates: Arras et al. 2017, arXiv:1706.07206",
        needs=Needs.MODEL,
        resolution="input",
        signed=True,
        cost="about 8 forwards",
        models="networks of convolutions, linear layers, attention, norms, activations and gates",
    )
    gamma: float = 0.05
    conv_gamma: float = 0.25

    def check(self, model: Model) -> None:
        """Propagate noise; that names an operation without a rule.

        Raises:
            MethodError: there is one, a gamma is below 0, or relevance does not add up.
        """
        super().check(model)
        if not (self.gamma >= 0 and self.conv_gamma >= 0):
            raise MethodError(
                f"Expected gammas of 0 or more, but got {self.gamma:g} and {self.conv_gamma:g}"
            )
        x = probe_input(
            model.module, model.preprocessing.size, channels=model.preprocessing.channels
        )
        targets = torch.zeros(1, dtype=torch.long, device=x.device)
        try:
            conserved = self._propagate(model, x, targets).conservation
        except RuntimeError as err:  # whatever autograd says of a graph that was changed in place
            first = (str(err).splitlines() or [""])[0]
            raise MethodError(
                f"Expected a forward that relevance can be propagated through, but got: {first}; "
                "use integrated-gradients"
            ) from err
        scale = max(conserved.size, 1e-2 * (abs(conserved.pixels) + abs(conserved.constants)))
        if not conserved.gap <= CLOSE * scale:
            raise MethodError(
                f"Expected relevance that adds up to the logit {conserved.logits:.4g} of "
                f"{model.architecture}, but {conserved.gap:.4g} of it is lost or too much; use "
                "integrated-gradients"
            )

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, height, width): relevance summed over colours, in units of the logit."""
        assert captured.inputs is not None
        found = self._propagate(model, captured.inputs, captured.targets)
        pool(captured.conserved, {self.name: found.conservation})
        return found.relevance.sum(dim=1)

    def _propagate(self, model: Model, inputs: Tensor, targets: Tensor) -> Propagated:
        return propagate_relevance(
            model, inputs, targets, dense=self.gamma, convolution=self.conv_gamma
        )
