"""The CAM family without gradients: each channel is weighted by what the logit does without it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xattn.attribution.methods.cam import weighted_sum
from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.partial_forward import partial_forward
from xattn.attribution.registry import MethodCard, Needs, register
from xattn.attribution.shifts import CamMethod
from xattn.models.interface import Model
from xattn.models.probing.forward import evaluating
from xattn.models.probing.probe import Layout

CHANNELS_AT_ONCE = 64
"""Channels that are switched off in one batch."""


@register
@dataclass(frozen=True)
class ScoreCam(CamMethod):
    """Score-CAM: each channel masks the image; its weight is the class's score of what is left."""

    card = MethodCard(
        name="scorecam",
        family="cam",
        source="Wang et al. 2020, arXiv:1910.01279",
        needs=Needs.ACTIVATIONS | Needs.MODEL,
        resolution="grid of the explained layer",
        cost="1 forward per channel",
    )
    differentiates = False

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k w_k A_k), w the softmax over channels of the masked images' logits.

        A mask is the channel enlarged to the input (bilinear, corners not aligned) and scaled to
        [0, 1] (algorithm 1; its baseline, equal for all channels, falls out of the softmax).
        As published, and as other tools do it, the enlarged channel is spread evenly over the input
        and not drawn where its cells look: masks, and so weights, are a matter of the method. The
        map itself lies where its layer's cells do, like every other.
        """
        activations, inputs = captured.activations, captured.inputs
        assert activations is not None
        assert inputs is not None
        n, channels = activations.shape[:2]
        pairs = torch.arange(n * channels, device=activations.device)
        scores, network = [], model.network
        with torch.inference_mode(False), torch.no_grad(), evaluating(model.module):
            for part in torch.split(pairs, max(n, 8)):
                image, channel = part // channels, part % channels
                masks = _masks(activations[image, channel], inputs.shape[2:])
                found = network(inputs[image] * masks[:, None])
                scores.append(found.gather(1, captured.targets[image, None])[:, 0])
        weights = torch.cat(scores).reshape(n, channels).softmax(dim=1)
        return F.relu(weighted_sum(weights, activations))


def _masks(channels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Enlarge channels (m, h, w) to the input's size, scaled to [0, 1]; constant ones to 0."""
    large = F.interpolate(channels[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    return torch.where(high > low, (large - low) / (high - low), 0)


@register
@dataclass(frozen=True)
class AblationCam(CamMethod):
    """Ablation-CAM: each channel is set to zero; its weight is what the logit loses by it."""

    card = MethodCard(
        name="ablationcam",
        family="cam",
        source="Ramaswamy and Desai 2020, doi:10.1109/WACV45572.2020.9093360",
        needs=Needs.ACTIVATIONS | Needs.MODEL,
        resolution="grid of the explained layer",
        cost="1 forward, and per channel the layers after the explained one",
    )
    differentiates = False

    def maps(self, model: Model, captured: Captured) -> Tensor:
        """L = ReLU(sum_k w_k A_k) with w_k = y - y_k, y_k the logit without channel k.

        The paper divides w_k by y, one number per image; not so here, for it turns the map over
        where the logit is negative. In token layers, tokens off the grid keep their channels.
        """
        activations, inputs, outputs = captured.activations, captured.inputs, captured.outputs
        assert activations is not None
        assert inputs is not None
        assert outputs is not None
        assert captured.scores is not None
        each = torch.arange(activations.shape[1], device=outputs.device)
        without = []
        with partial_forward(model, inputs) as partial:
            for image, target in enumerate(captured.targets.tolist()):
                for part in torch.split(each, CHANNELS_AT_ONCE):
                    ablated = _without_channels(outputs[image], part, model.target_layout)
                    without.append(partial.scores(image, ablated)[:, target])
        whole = captured.scores.gather(1, captured.targets[:, None])
        dropped = whole - torch.cat(without).reshape(len(inputs), -1)
        return F.relu(weighted_sum(dropped, activations))


def _without_channels(output: Tensor, channels: Tensor, layout: Layout) -> Tensor:
    """Repeat one image's output, once without each of the channels on the grid."""
    ablated = output.expand(len(channels), *output.shape).clone()
    on_grid = layout.spatial(ablated)  # a view of it
    on_grid[torch.arange(len(channels), device=channels.device), channels] = 0
    return ablated
