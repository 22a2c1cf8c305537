"""All features in their order of drawing: importing a module registers its functions."""

from __future__ import annotations

# The order has a meaning: pigment first, then what lies on the skin and on the glass.
import xattn.synthetic.structures  # isort: skip
import xattn.synthetic.artifacts  # noqa: F401  # isort: skip
from xattn.synthetic.registry import FEATURES, Feature

STRUCTURES = tuple(name for name, feature in FEATURES.items() if feature.kind == "structure")
ARTIFACTS = tuple(name for name, feature in FEATURES.items() if feature.kind == "artifact")

__all__ = ["ARTIFACTS", "FEATURES", "STRUCTURES", "Feature"]
