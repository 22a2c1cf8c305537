"""Learning rates of the parameters: the same for all, or lower for weights that were loaded."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from timm.models import group_parameters
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]  # no __all__
from torch import nn

from xattn.errors import UsageError
from xattn.training.recipe import TrainTable


def parameter_groups(
    network: nn.Module, train: TrainTable, loaded: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return AdamW's groups: by weight decay, and by learning rate.

    Vectors and scalars (biases, norms, gates) do not decay, nor what a module names in timm's
    `no_weight_decay`. The learning rate of loaded parameters is `lr` times `backbone_lr`, and times
    `layer_decay` for every layer that lies between them and the last (Howard and Ruder 2018; layers
    as timm counts them for its own `--layer-decay`). All others have `lr`.

    Args:
        network: to be trained.
        train: of the recipe.
        loaded: names of the parameters that `init` filled.

    Raises:
        UsageError: `layer_decay` was asked of an architecture whose layers timm does not count.
    """
    # timm's models and our blocks name their position embeddings here.
    spared = {
        f"{name}.{key}".removeprefix(".")
        for name, part in network.named_modules()
        for key in getattr(part, "no_weight_decay", tuple)()
    }
    groups: list[dict[str, Any]] = param_groups_weight_decay(
        network, train.weight_decay, True, spared
    )
    rates = _rates(network, train, set(loaded))
    if not rates:
        return groups
    # The rate of the new layers comes first: it is the one that history.csv shows.
    by_rate: list[dict[str, Any]] = []
    for rate in sorted({1.0, *rates.values()}, reverse=True):
        for group in groups:
            members = [p for p in group["params"] if rates.get(id(p), 1.0) == rate]
            if members:
                by_rate.append({**group, "params": members, "lr": train.lr * rate})
    return by_rate


def _rates(network: nn.Module, train: TrainTable, loaded: set[str]) -> dict[int, float]:
    """Return the factor of the learning rate of the parameters that have another than 1, by id."""
    own = {name: p for name, p in network.named_parameters() if name in loaded}
    depth = dict.fromkeys(own, 0)
    if own and train.layer_decay < 1:
        layers = _layers(network)
        depth = {name: max(layers.values()) - layers[name] for name in own}
    factors = {
        id(p): train.backbone_lr * train.layer_decay ** depth[name] for name, p in own.items()
    }
    return {one: factor for one, factor in factors.items() if factor != 1}


def _layers(network: nn.Module) -> dict[str, int]:
    """Return the layer of every parameter, counted from the input as timm does."""
    matcher = getattr(network, "group_matcher", None)
    if matcher is None:
        raise UsageError(
            f"Expected an architecture of timm or a hybrid for layer_decay, but got "
            f"{type(network).__name__}, whose layers have no order that is known; take backbone_lr"
        )
    return dict(group_parameters(network, matcher(coarse=False), reverse=True))
