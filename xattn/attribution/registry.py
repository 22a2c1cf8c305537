"""Attribution methods by name: what each is and needs, its options, and its formula.

    METHODS.find("gradcam")                 # GradCam()
    method("attention[layer=3,head=1]")     # Attention(layer="3", head=1)

A method is a frozen dataclass whose fields are its options. It is registered where it is defined:

    @register
    @dataclass(frozen=True)
    class ActivationNorm(Method):
        card = MethodCard(
            name="activation-norm",
            family="cam",
            source="doi:10.1000/182",
            needs=Needs.ACTIVATIONS,
            resolution="grid of the explained layer",
            by_class=False,
        )

        def maps(self, model: Model, captured: Captured) -> Tensor:
            assert captured.activations is not None
            return captured.activations.norm(dim=1)

A file in `xattn/attribution/methods/` is found without being listed anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Flag, auto
from typing import Any, ClassVar, Self, TypeVar

from torch import Tensor

from xattn.attribution.options import join_options, read_options, split_options
from xattn.attribution.passes.capture import Captured
from xattn.attribution.passes.precision import in_float32
from xattn.errors import MethodError, UsageError
from xattn.images.cells import Cells
from xattn.models.checkpoints.programs import passes_gradients, shows_no_layers
from xattn.models.interface import Model
from xattn.registry import Registry

INPUT = ""
"""Stands for the input where a layer's path is meant: maps on its own pixels."""


class Needs(Flag):
    """What a method needs of the pass over a batch, or beyond it."""

    ACTIVATIONS = auto()
    """The output of the explained layer."""
    GRADIENTS = auto()
    """The gradient of the target score by that output, and the output itself."""
    ATTENTION = auto()
    """The weights of the last attention layer."""
    ALL_ATTENTION = auto()
    """The weights of every attention layer."""
    MODEL = auto()
    """The model itself: it is run again, or changed for a while."""

    def __str__(self) -> str:
        names = [each.name or "" for each in self]
        return ", ".join(sorted(name.lower().replace("_", " ") for name in names))


AT_LAYER = Needs.ACTIVATIONS | Needs.GRADIENTS
"""What is captured at the explained layer."""
ANY_ATTENTION = Needs.ATTENTION | Needs.ALL_ATTENTION


@dataclass(frozen=True)
class MethodCard:
    """What a method is, needs and costs.

    Attributes:
        name: as users type it.
        family: "cam", "attention", "pixel" or "relevance".
        source: paper.
        needs: what the pass over a batch must capture for it.
        resolution: where the map's grid comes from.
        signed: whether values below 0 occur.
        cost: beyond the one pass for all methods, in forward passes per image.
        by_class: whether the map depends on the class it is made for.
        models: which models it works on.
    """

    name: str
    family: str
    source: str
    needs: Needs
    resolution: str
    signed: bool = False
    cost: str = "the one pass"
    by_class: bool = True
    models: str = "all"


@dataclass(frozen=True)
class Method(ABC):
    """One attribution method; the fields of a subclass, all with defaults, are its options."""

    card: ClassVar[MethodCard]
    differentiates: ClassVar[bool] = True
    """Whether it takes gradients, if it asks the network itself (`Needs.MODEL`)."""

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    @property
    def name(self) -> str:
        """The name that maps are stored under: the card's, with `options` in brackets."""
        return join_options(self.card.name, self.options)

    @property
    def needs(self) -> Needs:
        """What it needs with these options; without any, what the card says."""
        return self.card.needs

    def with_options(self, given: Sequence[tuple[str, str]]) -> Self:
        """Return this method with options, given as users type them.

        Raises:
            UsageError: it takes none, or there is none of this name, or the value is of another
                type.
        """
        if not fields(self):
            takers = [name for name, each in METHODS.items() if fields(each)]
            raise UsageError(
                f"Expected method {self.name!r} alone, for it takes no options, but got "
                f"{', '.join(key for key, _ in given)}; {', '.join(takers)} take some"
            )
        return replace(self, **read_options(type(self), self.card.name, given))

    def expand(self, model: Model) -> tuple[Method, ...]:
        """Write out options that stand for several maps, as `layer=all` does: one method each.

        Raises:
            UsageError: the model has nothing of the name that an option gives.
        """
        return (self,)

    def check(self, model: Model) -> None:
        """Look whether this method makes sense for the model.

        Raises:
            MethodError: it does not; the message says why, and what to use instead.
        """
        if self.needs & ANY_ATTENTION and not model.attention_layers:
            unread = model.unread_in_words()
            raise MethodError(
                f"Method {self.name!r} needs attention layers, but {model.architecture} has "
                f"none that can be read{': it has ' + unread if unread else ''}; use gradcam"
            )
        if self.needs & AT_LAYER:
            _ = model.target_layer  # finds it, or says why not
        asks = bool(self.needs & Needs.MODEL) and self.differentiates
        if asks and not passes_gradients(model.module):
            raise MethodError(
                f"Method {self.name!r} needs gradients, but {shows_no_layers(model.module)} has "
                "none; use occlusion"
            )

    def map_layer(self, model: Model) -> str:
        """Return the path of the layer on whose grid maps lie, `INPUT` for the input's pixels.

        The explained layer's if the method needs what this layer gives, else the input's.
        """
        return model.target_layer if self.needs & AT_LAYER and not model.on_pixels else INPUT

    def grid_name(self, model: Model) -> str:
        """Return what run.json calls the cells of a map: the path of their layer, or `INPUT`."""
        return self.map_layer(model)

    def cells(self, model: Model) -> Cells:
        """Return where the cells of a map lie in the input.

        Raises:
            MethodError: `map_layer` names a layer that has no grid.
        """
        layer, size = self.map_layer(model), model.preprocessing.size
        return Cells.spread(size, size) if layer == INPUT else model.cells(layer)

    @property
    def in_float32(self) -> bool:
        """Whether its own passes are in float32 whatever the precision of the model's layers.

        So are those of a method that differentiates the network itself: a gradient down to the
        pixels, or a sum of relevance, is rounded in each layer that it passes.
        """
        return bool(self.needs & Needs.MODEL) and self.differentiates

    @abstractmethod
    def maps(self, model: Model, captured: Captured) -> Tensor:
        """Make unnormalised maps (n, h, w) of what was captured of a pass."""


def maps_of(method: Method, model: Model, captured: Captured) -> Tensor:
    """Make a method's maps (n, h, w), its own passes in the precision that it takes.

    Args:
        method: makes sense for the model.
        model: the one that was captured.
        captured: of a pass over n images.
    """
    with in_float32(model) if method.in_float32 else nullcontext():
        return method.maps(model, captured)


M = TypeVar("M", bound=type[Method])

METHODS: Registry[Method] = Registry(
    "method",
    package="xattn.attribution.methods",
    first=(
        "cam",
        "layercam",
        "gradient_free_cam",
        "attention",
        "rollout",
        "gradient_rollout",
        "pixel",
        "lrp",
        "attnlrp",
        "pytorch_grad_cam",
    ),
)
"""Every method without options, by its card's name."""


def register(cls: M) -> M:
    """Register a method under its card's name; decorates its class.

    Raises:
        UsageError: the name is taken.
        TypeError: the class is no dataclass, so that its options would not be seen.
    """
    if not (is_dataclass(cls) and "__dataclass_params__" in vars(cls)):
        raise TypeError(
            f"Expected @dataclass(frozen=True) on {cls.__name__}, but got a plain class"
        )
    METHODS.add(cls.card.name, cls())
    return cls


def method(name: str) -> Method:
    """Look a method up by its name, such as `gradcam` or `attention[layer=3]`.

    Raises:
        UsageError: the name or an option is unknown, or an option's value is of another type.
    """
    plain, options = split_options(name)
    found = METHODS.find(plain)
    return found.with_options(options) if options else found


def methods() -> dict[str, MethodCard]:
    """List the attribution methods.

    Returns:
        By name, each method's card: what it is, needs and costs, its source, and which models it
        works on.

    Raises:
        UsageError: a plugin cannot be imported, or a name is registered twice.

    Examples:
        >>> import xattn
        >>> xattn.methods()["gradcam"].source
        'Selvaraju et al. 2017, arXiv:1610.02391'
    """
    return {name: each.card for name, each in METHODS.items()}
