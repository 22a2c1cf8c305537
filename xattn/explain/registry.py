"""Explanation methods by registration: a card that says what a method needs, and its formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from xattn.errors import MethodError, UsageError, near
from xattn.explain.evidence import Evidence
from xattn.models.interface import Model

METHODS: dict[str, type[Method]] = {}


@dataclass(frozen=True)
class Card:
    """What a method is, needs and costs.

    Attributes:
        name: as users type it.
        source: paper.
        needs: of "gradients" (activations and gradients at the explained layer) and "attention".
        resolution: where the map's grid comes from.
        signed: whether values below 0 occur.
    """

    name: str
    source: str
    needs: frozenset[str]
    resolution: str
    signed: bool


class Method(ABC):
    """One explanation method; stateless, so the class itself is what is registered."""

    card: ClassVar[Card]

    @classmethod
    def check(cls, model: Model) -> None:
        """Raise a MethodError if this method makes no sense for the model."""
        if "attention" in cls.card.needs and not model.attention_layers:
            raise MethodError(
                f"Method {cls.card.name!r} needs attention layers, but {model.architecture} has "
                "none that can be read; use gradcam"
            )
        if "gradients" in cls.card.needs:
            _ = model.target_layer  # finds it, or says why not

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
    """Look methods up by name.

    Raises:
        UsageError: a name is unknown.
    """
    import xattn.explain.attention
    import xattn.explain.cam  # noqa: F401 -- importing registers

    for name in names:
        if name not in METHODS:
            raise UsageError(f"Unknown method {name!r}{near(name, METHODS)}")
    return [METHODS[name] for name in dict.fromkeys(names)]
