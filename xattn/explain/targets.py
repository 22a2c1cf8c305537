"""Which class a map explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xattn.errors import UsageError, near
from xattn.models.interface import Model

TargetRule = Callable[[str], int | None]
"""Says for an image id which class to explain; None means the predicted one."""


def target_rule(model: Model, target: str, labels: Mapping[str, str | None]) -> TargetRule:
    """Read a target as users type it: "predicted", "label", a class's name or its index.

    An image without a label is explained for its predicted class.

    Raises:
        UsageError: the target is none of these, or "label" is asked for without labels.
    """
    if target == "predicted":
        return lambda _id: None
    if target == "label":
        if not labels:
            raise UsageError("Expected annotations with labels for target 'label', but got none")
        return lambda id_: _class_index(model, labels.get(id_))
    index = _class_index(model, target)
    if index is None:
        names = near(target, ["predicted", "label", *model.classes])
        raise UsageError(f"Unknown target {target!r}{names}")
    return lambda _id: index


def _class_index(model: Model, name: str | None) -> int | None:
    if name in model.classes:
        return model.classes.index(name)
    if name is not None and name.isdecimal() and int(name) < len(model.classes):
        return int(name)
    return None
