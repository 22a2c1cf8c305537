"""What a network that was pickled whole, or within a learner, says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

_ATTRIBUTES = ("names", "classes", "class_names", "class_to_idx", "id2label", "label_names")
"""Under which networks keep the names of their classes."""
_WITHIN = ("model", "module_", "module", "net")
"""Under which learners keep the network: fastai, skorch and what people write."""


def network_record(module: nn.Module) -> dict[str, Any]:
    """Return the names of classes that a network, or the configuration in it, carries."""
    config = getattr(module, "config", None)
    return {
        name: plain
        for owner in (config, module)
        for name in _ATTRIBUTES
        if (plain := _plain(getattr(owner, name, None))) is not None
    }


def learner_network(thing: Any) -> nn.Module | None:
    """Return the network within a learner; None if there is none."""
    inside = (getattr(thing, name, None) for name in _WITHIN)
    return next((one for one in inside if isinstance(one, nn.Module)), None)


def learner_record(thing: Any) -> dict[str, Any]:
    """Return the names of classes that a learner carries; fastai's are its data's vocabulary."""
    data = getattr(thing, "dls", None)
    found = {"vocab": _plain(getattr(data, "vocab", None))}
    found["classes"] = _plain(getattr(thing, "classes_", None))
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return names as a list of texts or a dictionary; None if they are neither."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return None
    listed = list(value)
    return listed if all(isinstance(one, str) for one in listed) else None
