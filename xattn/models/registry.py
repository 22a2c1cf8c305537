"""Architectures by name: the study's own, and every one of timm and torchvision.

The study's architectures are registered by a decorator; any other name is looked up in timm and
torchvision. `timm/NAME` and `torchvision/NAME` say which of the two is meant where both have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from xattn.errors import UsageError, near

Builder = Callable[..., nn.Module]
B = TypeVar("B", bound=Builder)


@dataclass(frozen=True)
class Architecture:
    """A named architecture.

    Attributes:
        name: as users type it.
        family: "convolutional", "hybrid" or "transformer".
        build: `build(n_classes, **options)`, weights random.
        summary: one line.
    """

    name: str
    family: str
    build: Builder
    summary: str


ARCHITECTURES: dict[str, Architecture] = {}


def architecture(name: str, family: str) -> Callable[[B], B]:
    """Register a builder under `name`; the first line of its docstring is its summary."""

    def register(builder: B) -> B:
        if name in ARCHITECTURES:
            raise ValueError(f"Architecture {name!r} is registered twice")
        summary = (builder.__doc__ or "").strip().splitlines()[0]
        ARCHITECTURES[name] = Architecture(name, family, builder, summary)
        return builder

    return register


def variants(name: str) -> list[str]:
    """Return the unambiguous names that `name` may stand for, the preferred one first.

    `efficientnet_b0` exists in timm and in torchvision with different keys: which one a
    checkpoint is of, only its keys tell.

    Raises:
        UsageError: nobody knows the name.
    """
    import timm
    import torchvision

    library, _, bare = name.rpartition("/")
    timm_has = timm.is_model(bare.split(".")[0])
    in_torchvision = torchvision.models.list_models(module=torchvision.models)
    torchvision_has = bare in in_torchvision
    found = [
        full
        for full, has in ((f"timm/{bare}", timm_has), (f"torchvision/{bare}", torchvision_has))
        if has and library in ("", full.split("/")[0])
    ]
    if not library and name in ARCHITECTURES:
        others = [full for full in found if full != "timm/" + name]
        return [name, *others]
    if not found:
        known = {*ARCHITECTURES, *timm.list_models(), *in_torchvision}
        raise UsageError(f"Unknown architecture {name!r}{near(bare, known)}")
    return found


def build(architecture: str, n_classes: int, **options: Any) -> nn.Module:
    """Build an architecture with random weights.

    Args:
        architecture: a registered name, or any name of timm or torchvision.
        n_classes: number of outputs.
        options: passed to the builder, for instance `stages` and `heads` of a hybrid.

    Raises:
        UsageError: the name is unknown, or an option is, or its value makes no sense.
    """
    full = variants(architecture)[0]
    try:
        if full in ARCHITECTURES:
            return ARCHITECTURES[full].build(n_classes, **options)
        library, _, bare = full.rpartition("/")
        return _LIBRARIES[library](bare, n_classes, **options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as err:
        given = f" with {options}" if options else ""
        raise UsageError(f"Architecture {architecture!r} cannot be built{given}: {err}") from err


def _from_timm(name: str, n_classes: int, **options: Any) -> nn.Module:
    import timm

    module: nn.Module = timm.create_model(name, num_classes=n_classes, **options)
    return module


def _from_torchvision(name: str, n_classes: int, **options: Any) -> nn.Module:
    import torchvision

    module: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=n_classes, **options
    )
    return module


_LIBRARIES: dict[str, Builder] = {"timm": _from_timm, "torchvision": _from_torchvision}


@architecture("resnet18", family="convolutional")
def resnet18(n_classes: int, **options: Any) -> nn.Module:
    """ResNet-18 (He et al. 2016), keys as in torchvision and timm."""
    return _from_timm("resnet18", n_classes, **options)


@architecture("efficientnet_b0", family="convolutional")
def efficientnet_b0(n_classes: int, **options: Any) -> nn.Module:
    """EfficientNet-B0 (Tan and Le 2019), keys as in timm."""
    return _from_timm("efficientnet_b0", n_classes, **options)


@architecture("vit_tiny_patch16_224", family="transformer")
def vit_tiny(n_classes: int, **options: Any) -> nn.Module:
    """ViT-Tiny/16 (Dosovitskiy et al. 2021; Touvron et al. 2021), keys as in timm."""
    return _from_timm("vit_tiny_patch16_224", n_classes, **options)


@architecture("resnet18-ga", family="hybrid")
def resnet18_ga(
    n_classes: int, *, stages: tuple[int, ...] | list[int] = (3, 4), heads: int = 4
) -> nn.Module:
    """ResNet-18 with a global self-attention block after chosen stages (1 to 4)."""
    from xattn.models.global_attention import GlobalAttention
    from xattn.models.hybrids import insert_after_stages

    backbone = _from_timm("resnet18", n_classes)
    return insert_after_stages(
        backbone, "ga", lambda channels: GlobalAttention(channels, heads=heads), stages
    )
