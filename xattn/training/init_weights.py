"""The network a training begins with: random, or from the weights of another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models import build
from xattn.models.checkpoints.checkpoint import read_checkpoint
from xattn.models.matching.keys import best_reading
from xattn.models.matching.state import Match, match_state
from xattn.models.pretrained import find_pretrained
from xattn.stats.seeds import seed_for
from xattn.training.head import STD, draw_heads, head_keys
from xattn.training.recipe import Recipe


class Start(NamedTuple):
    """A network to be trained, and how it came about.

    Attributes:
        network: in train mode.
        init: where its weights come from, see `start_from`, with "pretrained" (their name) where
            they were published; None if all are random.
        head: its last layers as they were drawn (layers, std, bias); None if all are of `init`.
    """

    network: nn.Module
    init: dict[str, Any] | None = None
    head: dict[str, Any] | None = None

    @property
    def loaded(self) -> frozenset[str]:
        """The names of the parameters that `init` filled."""
        if self.init is None:
            return frozenset()
        names = {name for name, _ in self.network.named_parameters()}
        return frozenset(names - set(self.init["left"]))


def build_network(recipe: Recipe, n_classes: int) -> Start:
    """Build the recipe's network, its weights drawn by the recipe's seed or read from `init`.

    The last layer is drawn small, whatever the library would have done, so that the loss starts
    near ln(classes). Draws from torch's global generator.

    Raises:
        UsageError: the architecture or an option is unknown.
        CheckpointError: the weights of `init` do not fit, or cannot be reached.
    """
    torch.manual_seed(seed_for(recipe.train.seed))
    network = build(recipe.model.architecture, n_classes, **recipe.model.options).train()
    drawn = draw_heads(network, n_classes)
    init = _initialised(network, recipe, n_classes)
    if init is not None:
        drawn = tuple(name for name in drawn if f"{name}.weight" in init["left"])
    head = {"layers": list(drawn), "std": STD, "bias": 0.0} if drawn else None
    return Start(network, init, head)


def _initialised(network: nn.Module, recipe: Recipe, n_classes: int) -> dict[str, Any] | None:
    """Load the weights that the recipe names, if it names any; see `start_from`."""
    tag = recipe.train.pretrained_tag
    if tag is not None:
        published = find_pretrained(recipe.model.architecture, tag)
        return {
            "pretrained": published.name,
            **start_from(network, published.fetch(), n_classes),
            "mean": published.mean,
            "std": published.std,
        }
    if recipe.train.init is not None:
        return start_from(network, Path(recipe.train.init), n_classes)
    return None


def start_from(network: nn.Module, path: Path, n_classes: int) -> dict[str, Any]:
    """Load the weights of another checkpoint as far as it goes, in place.

    Every weight of the file must find its place, but for a classifier of other classes. What the
    network has beyond (the attention blocks of a hybrid) stays as it is.

    Args:
        network: gets the weights.
        path: any checkpoint that can be read.
        n_classes: of the network.

    Returns:
        file, sha256, loaded (number of tensors), left (keys that were not in the file).

    Raises:
        CheckpointError: the file cannot be read or belongs to another network.
    """
    checkpoint = read_checkpoint(path)
    own = network.state_dict()
    classifier = head_keys(network, n_classes)
    kept, match = _matched(best_reading(checkpoint.state, own, network).state, own, classifier)
    if match.unexpected or match.reshaped or not match.agreeing:
        _, as_it_is = _matched(checkpoint.state, own, classifier)
        raise CheckpointError(
            f"Expected weights of this architecture in {path}, but they do not fit: "
            f"{as_it_is.describe()}; `init` takes a checkpoint of the same backbone"
        )
    network.load_state_dict(kept, strict=False)
    return {
        "file": path.name,
        "sha256": checkpoint.sha256,
        "loaded": match.agreeing,
        "left": list(match.missing),
    }


def _matched(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], classifier: set[str]
) -> tuple[dict[str, Tensor], Match]:
    """Return the weights but for a classifier of other classes, and how they fit."""
    kept = {
        key: value
        for key, value in given.items()
        if not (key in classifier and own[key].shape != value.shape)
    }
    return kept, match_state(kept, own)
