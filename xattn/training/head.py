"""The last layer of a network, which depends on the classes, and how it is drawn.

timm draws the classifier of the EfficientNet and MobileNet families within 1 / sqrt(classes): for
two classes weights up to 0.71, under which an untrained network is sure of itself and mostly
wrong. A loss that begins far above ln(classes) is spent on unlearning that, and when pretrained
weights are fine-tuned it spoils them on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

STD = 0.01
"""Of the normal distribution of the weights; biases are 0."""

_Layer = nn.Linear | nn.Conv2d


def heads(network: nn.Module, n_classes: int) -> dict[str, nn.Linear | nn.Conv2d]:
    """Find the layers that give the logits: name -> linear layer or convolution.

    Those that timm names as the classifier (two in a distilled transformer), else the last layer
    with as many outputs as there are classes; none if there is no such layer.
    """
    layers = {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, _Layer) and _outputs(part) == n_classes
    }
    told: Mapping[str, Any] = getattr(network, "pretrained_cfg", None) or {}
    named = told.get("classifier") or ()
    places = (named,) if isinstance(named, str) else tuple(named)
    found: dict[str, nn.Linear | nn.Conv2d] = {}
    for place in places:  # a layer, or a module that ends in one
        inside = [name for name in layers if name == place or name.startswith(f"{place}.")]
        found |= {name: layers[name] for name in inside[-1:]}
    return found or dict(list(layers.items())[-1:])


def draw_heads(network: nn.Module, n_classes: int) -> tuple[str, ...]:
    """Draw the weights of the last layer small, in place; the loss then starts at ln(classes).

    Draws from torch's global generator.

    Returns:
        The layers' names.
    """
    found = heads(network, n_classes)
    for layer in found.values():
        nn.init.normal_(layer.weight, std=STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return tuple(found)


def head_keys(network: nn.Module, n_classes: int) -> set[str]:
    """Return the keys of the state dict that depend on the number of classes."""
    return {f"{name}.{end}" for name in heads(network, n_classes) for end in ("weight", "bias")}


def _outputs(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
