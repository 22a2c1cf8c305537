"""The network a training begins with: random, or from the weights of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from xattn.errors import CheckpointError
from xattn.models import build
from xattn.models.checkpoint import read_checkpoint
from xattn.models.keys import best_reading
from xattn.models.state import compare
from xattn.training.augment import stream
from xattn.training.recipe import Recipe


def build_network(recipe: Recipe, n_classes: int) -> tuple[nn.Module, dict[str, Any] | None]:
    """Build the recipe's network, its weights drawn by the recipe's seed or read from `init`.

    Draws from torch's global generator.

    Returns:
        The network in train mode, and where its weights come from (None: all random).

    Raises:
        UsageError: the architecture or an option is unknown.
        CheckpointError: the weights of `init` do not fit.
    """
    torch.manual_seed(stream(recipe.train.seed))
    network = build(recipe.model.architecture, n_classes, **recipe.model.options).train()
    if recipe.train.init is None:
        return network, None
    return network, start_from(network, recipe.train.init)


def start_from(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load the weights of another checkpoint as far as it goes, in place.

    Every weight of the file must find its place, but for a classifier of other classes. What the
    network has beyond (the attention blocks of a hybrid) stays as it is.

    Returns:
        file, sha256, loaded (number of tensors), left (keys that were not in the file).

    Raises:
        CheckpointError: the file cannot be read or belongs to another network.
    """
    checkpoint = read_checkpoint(path)
    own = network.state_dict()
    given = best_reading(checkpoint.state, own).state
    classifier = _classifier(network)
    kept = {
        key: value
        for key, value in given.items()
        if not (key in classifier and own[key].shape != value.shape)
    }
    match = compare(kept, own)
    if match.unexpected or match.reshaped or not match.agreeing:
        raise CheckpointError(
            f"Expected weights of this architecture in {path}, but they do not fit: "
            f"{match.describe()}; `init` takes a checkpoint of the same backbone"
        )
    network.load_state_dict(kept, strict=False)
    return {
        "file": path.name,
        "sha256": checkpoint.sha256,
        "loaded": match.agreeing,
        "left": list(match.missing),
    }


def _classifier(network: nn.Module) -> set[str]:
    """Return the keys of the last linear layer, the only part that depends on the classes."""
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    return {f"{layers[-1]}.{end}" for end in ("weight", "bias")} if layers else set()
