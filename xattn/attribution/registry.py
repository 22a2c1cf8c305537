"""Explanation methods by registration: a card that says what a method needs, and its formula."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from torch import Tensor

from xattn.attribution.options import split_options
from xattn.attribution.passes.capture import Evidence
from xattn.errors import MethodError, UsageError, near
from xattn.models.interface import Model

METHODS: dict[str, type[Method]] = {}

_HOMES = (
    "cam",
    "gradient_free_cam",
    "attention",
    "rollout",
    "gradient_rollout",
    "pixel",
    "lrp",
    "pytorch_grad_cam",
)
"""Modules of `methods/` that register methods when they are imported."""

INPUT = ""
"""Stands for the input where a layer's path is meant: maps on its own pixels."""


@dataclass(frozen=True)
class Card:
    """What a method is, needs and costs.

    Attributes:
        name: as users type it.
        family: "cam", "attention", "pixel" or "relevance".
        source: paper.
        needs: of "activations" and "gradients" (of the explained layer), "attention" (the last
            layer's) or "all attention", and "model" (runs it again, or changes it for a while).
        resolution: where the map's grid comes from.
        signed: whether values below 0 occur.
        cost: beyond the one pass that all methods share, in forward passes per image.
        by_class: whether the map depends on the class it is made for.
        models: which models it works on.
    """

    name: str
    family: str
    source: str
    needs: frozenset[str]
    resolution: str
    signed: bool
    cost: str
    by_class: bool = True
    models: str = "all"


class Method(ABC):
    """One explanation method; stateless, so the class itself is what is registered."""

    card: ClassVar[Card]

    @classmethod
    def check(cls, model: Model) -> None:
        """Raise a MethodError if this method makes no sense for the model."""
        if cls.card.needs & {"attention", "all attention"} and not model.attention_layers:
            raise MethodError(
                f"Method {cls.card.name!r} needs attention layers, but {model.architecture} has "
                "none that can be read; use gradcam"
            )
        if cls.card.needs & {"activations", "gradients"}:
            _ = model.target_layer  # finds it, or says why not

    @classmethod
    def with_options(cls, options: tuple[tuple[str, str], ...]) -> type[Method]:
        """Return this method with options, under a name that tells them.

        Raises:
            UsageError: it takes none.
        """
        raise UsageError(
            f"Method {cls.card.name!r} takes no options; layer and head are for attention and "
            "rollout"
        )

    @classmethod
    def map_layer(cls, model: Model) -> str:
        """Return the path of the layer on whose grid maps lie, `INPUT` for the input's pixels.

        The explained layer's if the method needs what this layer gives, else the input's.
        """
        on_layer = cls.card.needs & {"activations", "gradients"}
        return model.target_layer if on_layer else INPUT

    @staticmethod
    @abstractmethod
    def maps(model: Model, evidence: Evidence) -> Tensor:
        """Make unnormalised maps (n, h, w) of what a pass left behind."""


def method(cls: type[Method]) -> type[Method]:
    """Register a method under its card's name."""
    if cls.card.name in METHODS:
        raise ValueError(f"Method {cls.card.name!r} is registered twice")
    METHODS[cls.card.name] = cls
    return cls


def get_methods(names: list[str] | tuple[str, ...]) -> list[type[Method]]:
    """Look methods up by name, such as `gradcam` or `attention[layer=3]`; each once.

    Raises:
        UsageError: a name or an option is unknown.
    """
    for module in _HOMES:
        importlib.import_module(f"xattn.attribution.methods.{module}")
    found = []
    for name in names:
        plain, options = split_options(name)
        if plain not in METHODS:
            raise UsageError(f"Unknown method {plain!r}{near(plain, METHODS)}")
        found.append(_variant(METHODS[plain], tuple(options.items())))
    return list(dict.fromkeys(found))


@cache
def _variant(plain: type[Method], options: tuple[tuple[str, str], ...]) -> type[Method]:
    return plain.with_options(options) if options else plain
