"""Layer-wise relevance propagation, by zennit where it is installed (the extra `lrp`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.fx_rewrite import canonize
from xattn.attribution.passes.model_state import preserved
from xattn.attribution.registry import Method, MethodCard, Needs, register
from xattn.errors import MethodError
from xattn.models.interface import Model


@register
@dataclass(frozen=True)
class LayerwiseRelevance(Method):
    """LRP: the logit propagated back layer by layer, to each unit by its part in the next.

    The composite of rules is that of Kohlbrenner et al.: epsilon in dense layers, z+ in
    convolutions, flat in the first one; a sum of branches by their values.
    """

    card = MethodCard(
        name="lrp",
        family="relevance",
        source="Bach et al. 2015, doi:10.1371/journal.pone.0130140; Kohlbrenner et al. 2020, "
        "arXiv:1910.09840",
        needs=Needs.MODEL,
        resolution="input",
        signed=True,
        cost="about 8 forwards",
        models="networks of convolutions, sums, ReLU and pooling (ResNet, VGG), with the extra lrp",
    )

    def check(self, model: Model) -> None:
        """Rewrite the network once; that names what has no rule."""
        super().check(model)
        _zennit()
        with preserved(model.module):
            canonize(model.network, covered=(nn.ReLU,), add=_stacked_sum)

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Return (n, height, width): relevance summed over colours, in units of the logit."""
        assert captured.inputs is not None
        with preserved(model.module):
            inputs, targets = captured.inputs.clone(), captured.targets.clone()
            return propagate(model, inputs, targets)[0].sum(dim=1)


def propagate(
    model: Model, inputs: Tensor, targets: Tensor, biases: bool = True
) -> tuple[Tensor, Tensor]:
    """Propagate the logits of the targets back to the inputs.

    Args:
        model: within `preserved`.
        inputs: (n, 3, height, width).
        targets: class per image.
        biases: whether biases absorb relevance; without, nothing is lost on the way.

    Returns:
        Relevance (n, 3, height, width), and the logits (n,).
    """
    zennit = _zennit()
    network = canonize(model.network, covered=(nn.ReLU,), add=_stacked_sum)
    composite = zennit.composites.EpsilonPlusFlat(zero_params=None if biases else ["bias"])
    x = inputs.detach().requires_grad_(True)
    with composite.context(network) as prepared:
        logits = prepared(x)
        picked = logits.gather(1, targets[:, None])[:, 0]
        start = torch.zeros_like(logits).scatter(1, targets[:, None], picked.detach()[:, None])
        (relevance,) = torch.autograd.grad(logits, x, start)
    return relevance.detach(), picked.detach()


def _stacked_sum() -> nn.Module:
    """A sum that zennit has a rule for: it wants the branches stacked in one tensor."""
    from zennit.layer import Sum

    class StackedSum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sum = Sum()

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            result: Tensor = self.sum(torch.stack([first, second], dim=-1))
            return result

    return StackedSum()


def _zennit() -> Any:
    try:
        import zennit.composites
        import zennit.layer
    except ImportError as err:
        raise MethodError(
            "Method 'lrp' needs the package zennit, but it is not installed; "
            "pip install 'xattn[lrp]'"
        ) from err
    return zennit
