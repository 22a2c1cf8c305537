"""The sets of weights that a file holds, wherever a training put them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

DEEPEST = 4
"""Levels of nesting that are walked; frameworks use two."""

_PASSED_OVER = re.compile(
    r"opt(imi[sz]ers?|im)?(_.*)?|.*_optimi[sz]er.*|.*schedulers?(_.*)?|(.*_)?scaler.*|amp(_.*)?"
    r"|.*rng.*|random.*|loops|criterion|loss.*",
    re.IGNORECASE,
)
_AVERAGED = re.compile(
    r"(^|[._])(ema\d*|swa|averaged?|avg_?(model|net|weights)|(model|net|weights)_?avg|shadow\w*"
    r"|polyak|moving_average)([._]|$)",
    re.IGNORECASE,
)
_EMA_CASED = re.compile(r"EMA|[a-z]Ema([A-Z]|$)|^Ema[A-Z]|WeightAveraging")


@dataclass(frozen=True)
class Weights:
    """One set of weights in a file.

    Attributes:
        where: keys that lead to it, joined by points; empty for the file itself.
        state: tensors by key.
        averaged: whether it is a moving average over a training, not its last step.
        listed: parameters in the model's order, where an average is kept without keys.
    """

    where: str
    state: dict[str, Tensor]
    averaged: bool = False
    listed: tuple[Tensor, ...] = field(default=())


def is_averaged(name: str) -> bool:
    """Whether a key or a prefix of keys says that weights under it are averages.

    >>> is_averaged("state_dict_ema"), is_averaged("ema_model.module."), is_averaged("schema")
    (True, True, False)
    """
    return bool(_AVERAGED.search(name) or _EMA_CASED.search(name))


def is_passed_over(name: str) -> bool:
    """Whether a key is of an optimiser, a schedule, a loss or random numbers."""
    return bool(_PASSED_OVER.fullmatch(name))


def find_weights(content: Mapping[Any, Any]) -> list[Weights]:
    """Return every set of weights in a file's content, from the outside inwards.

    What belongs to an optimiser, a schedule or a loss is passed over.
    """
    found = list(_walk(content, "", 0, set()))
    if "current_model_state" in content and "averaging_state" in content:
        # lightning's WeightAveraging puts the average where the weights were.
        found = [
            Weights(one.where, one.state, averaged=one.where == "state_dict", listed=one.listed)
            for one in found
        ]
    return found


def _walk(content: Mapping[Any, Any], where: str, depth: int, seen: set[int]) -> Iterator[Weights]:
    seen.add(id(content))  # a file can hold a mapping within itself
    averaged = is_averaged(where)
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    hidden = where.startswith("callbacks") and not averaged
    if state and not hidden:
        yield Weights(where, state, averaged or any(k.endswith("n_averaged") for k in state))
    if depth == DEEPEST:
        return
    for key, inner in content.items():
        name = str(key)
        path = f"{where}.{name}" if where else name
        if is_passed_over(name):
            continue
        if isinstance(inner, Mapping) and id(inner) not in seen:
            yield from _walk(inner, path, depth + 1, seen)
        elif is_averaged(path) and _is_list_of_tensors(inner):
            yield Weights(path, {}, averaged=True, listed=tuple(inner))


def _is_list_of_tensors(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) > 1
    return listed and all(isinstance(one, Tensor) for one in value)
