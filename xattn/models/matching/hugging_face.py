"""Filling a classifier of transformers with the weights beside its `config.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from xattn.errors import CheckpointError
from xattn.models.architectures.hugging_face import HuggingFace, is_described, read_config
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.folders import read_json
from xattn.models.matching.keys import common_prefixes, unwrapped
from xattn.models.matching.state import Match

CONFIG = "config.json"
_ROOM = 2
"""How many times as many numbers as the file holds a configuration may ask for."""


@dataclass(frozen=True)
class Filled:
    """A classifier of transformers with its weights.

    Attributes:
        module: gives a `ModelOutput`, whose part `logits` is meant.
        described: what it was made by.
        notes: what was left out.
    """

    module: nn.Module
    described: HuggingFace
    notes: tuple[str, ...]


def config_beside(path: Path) -> Path | None:
    """Return the `config.json` beside weights, if it is of a network of transformers."""
    file = path.parent / CONFIG
    return file if is_described(read_json(file)) else None


def fill(checkpoint: Checkpoint, config: Path) -> Filled:
    """Build the classifier that a `config.json` describes, with the weights of a checkpoint.

    The package's own loading is used, which knows under which keys older versions stored.

    Raises:
        CheckpointError: the configuration is no image classifier's, or the weights contradict it.
    """
    described = read_config(read_json(config), config)
    state = unwrapped(checkpoint.state)
    wanted = sum(value.numel() for value in described.skeleton().state_dict().values())
    held = sum(value.numel() for value in state.values())
    if wanted > _ROOM * held + 1_000_000:
        raise CheckpointError(
            f"{checkpoint.path} does not fill {described.name}: {config.name} describes "
            f"{wanted:,} numbers, and it holds {held:,}"
        )
    first: Match | None = None
    for reading in (state, *(one.state for one in common_prefixes(state))):
        module, match = _load(described, reading)
        if not (match.missing or match.reshaped):
            return Filled(module, described, tuple(_left_out(match.unexpected)))
        first = first or match
    assert first is not None  # the first reading is always tried
    headless = all(key.startswith(("classifier", "head", "fc")) for key in first.missing)
    way_out = (
        "; its classifier was never trained" if headless and not first.reshaped
        else "; is this another network's configuration?"
    )  # fmt: skip
    raise CheckpointError(
        f"{checkpoint.path} does not fill {described.name} as {config.name} describes it: "
        f"{first.describe()}{way_out if first.missing or first.reshaped else ''}"
    )


def _load(described: HuggingFace, state: Mapping[str, Tensor]) -> tuple[nn.Module, Match]:
    with _quiet():
        module, info = described.kind.from_pretrained(
            None,
            config=described.config,
            state_dict=dict(state),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    reshaped = tuple(
        f"{key}: {tuple(have)} instead of {tuple(want)}"
        for key, have, want in info["mismatched_keys"]
    )
    missing, unexpected = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    agreeing = len(module.state_dict()) - len(missing) - len(reshaped)
    return module.eval(), Match(tuple(missing), tuple(unexpected), reshaped, agreeing)


def _left_out(keys: Iterable[str]) -> Iterator[str]:
    names = list(keys)
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        count = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
        yield f"{count} left out that the architecture has not ({shown})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' report of keys and its progress bar to itself: both are said here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
