"""All features in their order of drawing: importing a module registers its functions."""

from __future__ import annotations

from dataclasses import replace

# The order has a meaning: pigment first, then what lies on the skin and on the glass.
import xattn.synthetic.structures  # isort: skip
import xattn.synthetic.artifacts  # noqa: F401  # isort: skip
from xattn.errors import UsageError, near
from xattn.synthetic.registry import FEATURES, Feature
from xattn.synthetic.spec import ImageSpec

STRUCTURES = tuple(name for name, feature in FEATURES.items() if feature.kind == "structure")
ARTIFACTS = tuple(name for name, feature in FEATURES.items() if feature.kind == "artifact")

__all__ = [
    "ARTIFACTS",
    "FEATURES",
    "STRUCTURES",
    "Feature",
    "with_features",
    "without_features",
]


def with_features(spec: ImageSpec, *names: str) -> ImageSpec:
    """Return the same image with these features present as well.

    Raises:
        UsageError: there is no feature of a name.
    """
    return replace(spec, present=spec.present | _known(names))


def without_features(spec: ImageSpec, *names: str) -> ImageSpec:
    """Return the same image without these features.

    Raises:
        UsageError: there is no feature of a name.
    """
    return replace(spec, present=spec.present - _known(names))


def _known(names: tuple[str, ...]) -> set[str]:
    for name in names:
        if name not in FEATURES:
            raise UsageError(f"Unknown feature {name!r}{near(name, FEATURES)}")
    return set(names)
