"""Which class a map explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xattn.errors import UsageError, near
from xattn.models.interface import Model

TargetRule = Callable[[str], int | None]
"""Says for an image id which class to explain; None means the predicted one."""


def target_rule(model: Model, target: str, labels: Mapping[str, str | None]) -> TargetRule:
    """Read a target as users type it: "predicted", "label", a class's name or its index.

    An image without a label, or with one that is no class of the model, is explained for its
    predicted class.

    Raises:
        UsageError: the target is none of these, or "label" is asked for and no image has a label
            that is a class of the model.
    """
    if target == "predicted":
        return lambda _id: None
    if target == "label":
        return _label_rule(model, labels)
    index = _class_index(model, target)
    if index is None:
        names = near(target, ["predicted", "label", *model.classes])
        raise UsageError(f"Unknown target {target!r}{names}")
    return lambda _id: index


def _label_rule(model: Model, labels: Mapping[str, str | None]) -> TargetRule:
    there = {label for label in labels.values() if label is not None}
    if not there:
        raise UsageError("Expected annotations with labels for target 'label', but got none")
    if there.isdisjoint(model.classes):
        raise UsageError(
            f"Expected labels among the model's classes {', '.join(model.classes)} for target "
            f"'label', but got {', '.join(sorted(there))}"
        )
    index = {name: i for i, name in enumerate(model.classes)}
    return lambda id_: index.get(labels.get(id_) or "")


def _class_index(model: Model, name: str) -> int | None:
    if name in model.classes:
        return model.classes.index(name)
    if name.isdecimal() and int(name) < len(model.classes):
        return int(name)
    return None
