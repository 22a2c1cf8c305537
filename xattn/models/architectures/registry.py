"""Architectures by name: the study's own, and every one of timm and torchvision.

The study's architectures are registered by a decorator (see `zoo.py`), and so are those in other
files of this package; any other name is looked up in timm and torchvision. `timm/NAME` and
`torchvision/NAME` say which of the two is meant where both have it. A name of timm with a block's
name after it, such as `convnext_tiny-la`, is a hybrid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from xattn.errors import UsageError, near
from xattn.models.architectures.blocks import BLOCKS
from xattn.models.architectures.hybrids import make_hybrid
from xattn.registry import Registry, meaning_of

Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A named architecture.

    Attributes:
        name: as users type it.
        family: "convolutional", "hybrid", "control" or "transformer".
        build: `build(n_classes, **options)`, weights random.
        meaning: one line.
    """

    name: str
    family: str
    build: Builder
    meaning: str


ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture", package="xattn.models.architectures", first=("zoo",)
)


def architecture(name: str, *, family: str, meaning: str = "") -> Callable[[Builder], Builder]:
    """Register a builder; see `Architecture` for the arguments."""
    return ARCHITECTURES.register(
        name, lambda build: Architecture(name, family, build, meaning_of(build, meaning))
    )


def variants(name: str) -> list[str]:
    """Return the unambiguous names that `name` may stand for, the preferred one first.

    `efficientnet_b0` exists in timm and in torchvision with different keys: which one a
    checkpoint is of, only its keys tell.

    Raises:
        UsageError: nobody knows the name.
    """
    if name not in ARCHITECTURES and _as_hybrid(name):
        return [name]
    library, _, bare = name.rpartition("/")
    found = [full for full in _in_libraries(bare) if library in ("", full.split("/")[0])]
    if not library and name in ARCHITECTURES:
        others = [full for full in found if full != "timm/" + name]
        return [name, *others]
    if not found:
        raise UsageError(f"Unknown architecture {name!r}{_near(bare)}")
    return found


def in_libraries() -> list[str]:
    """Return the names of all architectures of timm and torchvision, each as it is told apart.

    A name of timm's alone, and one that stands for timm's first, needs no library before it.
    """
    import timm
    import torchvision

    theirs = torchvision.models.list_models(module=torchvision.models)
    own = [name for name in timm.list_models() if name not in ARCHITECTURES]
    return [*own, *(f"torchvision/{name}" for name in theirs)]


def _in_libraries(bare: str) -> list[str]:
    """Return the full names of those libraries that have a model of this name."""
    import timm
    import torchvision

    has = {
        "timm": timm.is_model(bare.split(".")[0]),
        "torchvision": bare in torchvision.models.list_models(module=torchvision.models),
    }
    return [f"{library}/{bare}" for library, there in has.items() if there]


def backbone_of(name: str) -> str | None:
    """Return timm's name of a hybrid's backbone; None if the name is no hybrid's."""
    hybrid = _as_hybrid(name)
    return hybrid[0] if hybrid else None


def _as_hybrid(name: str) -> tuple[str, str] | None:
    """Split a hybrid's name into timm's name of the backbone and the block's."""
    import timm

    backbone, _, kind = name.rpartition("-")
    known = kind in BLOCKS and timm.is_model(backbone.split(".")[0])
    return (backbone, kind) if known else None


def _near(name: str) -> str:
    """Suggest names like an unknown one."""
    import timm
    import torchvision

    backbone, _, kind = name.rpartition("-")
    in_timm = timm.list_models()
    in_torchvision = torchvision.models.list_models(module=torchvision.models)
    hybrids = [f"{each}-{kind}" for each in in_timm] if backbone and kind in BLOCKS else []
    return near(name, {*ARCHITECTURES, *in_timm, *in_torchvision, *hybrids})


def build(architecture: str, n_classes: int, **options: Any) -> nn.Module:
    """Build an architecture with random weights.

    Args:
        architecture: a registered name, or any name of timm or torchvision.
        n_classes: number of outputs.
        options: passed to the builder; for a hybrid `stages` and its blocks' own.

    Raises:
        UsageError: the name is unknown, or an option is, or its value makes no sense.
    """
    full = variants(architecture)[0]
    try:
        if full in ARCHITECTURES:
            return ARCHITECTURES[full].build(n_classes, **options)
        if hybrid := _as_hybrid(full):
            return build_hybrid(*hybrid, n_classes, **options)
        library, _, bare = full.rpartition("/")
        return _LIBRARIES[library](bare, n_classes, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as err:
        given = f" with {options}" if options else ""
        raise UsageError(f"Architecture {architecture!r} cannot be built{given}: {err}") from err


def build_hybrid(backbone: str, kind: str, n_classes: int, **options: Any) -> nn.Module:
    """Build a backbone of timm with blocks after its stages; see `make_hybrid` for the options."""
    return make_hybrid(from_timm(backbone, n_classes), kind, **options)


PERCEPTRONS = {"mlp": "Mlp", "swiglu": "SwiGLU", "swiglu_packed": "SwiGLUPacked"}
"""What `mlp_layer` of a vision transformer may be, as a word, and its class in timm."""


def from_timm(name: str, n_classes: int, **options: Any) -> nn.Module:
    """Build a model of timm with random weights; `mlp_layer` may be a name of `PERCEPTRONS`."""
    import timm
    import timm.layers

    layer = options.get("mlp_layer")
    if isinstance(layer, str):
        if layer not in PERCEPTRONS:
            raise UsageError(f"Unknown mlp_layer {layer!r}{near(layer, PERCEPTRONS)}")
        options["mlp_layer"] = getattr(timm.layers, PERCEPTRONS[layer])
    module: nn.Module = timm.create_model(name, num_classes=n_classes, **options)
    return module


def _from_torchvision(name: str, n_classes: int, **options: Any) -> nn.Module:
    import torchvision

    if name in ("googlenet", "inception_v3"):
        options.setdefault("init_weights", True)  # as by default, without the warning
    module: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=n_classes, **options
    )
    return module


_LIBRARIES: dict[str, Builder] = {"timm": from_timm, "torchvision": _from_torchvision}
