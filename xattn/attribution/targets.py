"""Which classes maps explain, and what the maps of each are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xattn.errors import UsageError, near
from xattn.models.interface import Model

TargetRule = Callable[[str], int | None]
"""Says for an image id which class to explain; None means the predicted one."""


@dataclass(frozen=True)
class Target:
    """One choice of classes to explain.

    Attributes:
        name: "predicted", "label", or the class's name.
        suffix: of the maps' names: "" for the first target, "@name" for further ones.
        rule: the class of each image.
    """

    name: str
    suffix: str
    rule: TargetRule

    def stored(self, method: str) -> str:
        """Return the name under which a method's maps of this target are stored."""
        return method + self.suffix


def list_targets(
    model: Model, wanted: Sequence[str], labels: Mapping[str, str | None]
) -> tuple[Target, ...]:
    """Read targets as users type them, each once.

    Args:
        model: has the classes.
        wanted: "predicted", "label", a class's name or its index; "all" stands for each class,
            after the predicted one if it comes first. Where outputs are independent there is no
            predicted one.
        labels: reference class by image id.

    Raises:
        UsageError: there is none, or as `target_rule`.
    """
    if not wanted:
        raise UsageError("Expected a target, but got none; predicted is the usual one")
    names: dict[str, None] = {}
    for target in wanted:
        if target == "all" and "all" not in model.classes:
            first = ["predicted"] if model.outputs.exclusive else []
            names |= dict.fromkeys([*(names or first), *model.classes])
        else:
            rule = target_rule(model, target, labels)
            index = rule("") if target not in ("predicted", "label") else None
            names[target if index is None else model.classes[index]] = None
    return tuple(
        Target(name, f"@{_file_name(model, name)}" if i else "", target_rule(model, name, labels))
        for i, name in enumerate(names)
    )


def _file_name(model: Model, name: str) -> str:
    """Maps and overlays are stored by name: a class that no folder can be named after is counted.

    Two classes that differ in case alone are one folder on some disks.
    """
    odd = set(name) & set('/\\:*?"<>|@') or not name.strip(". ") or not name.isprintable()
    alike = [c for c in model.classes if c.casefold() == name.casefold()]
    if name in model.classes and (odd or len(alike) > 1):
        return str(model.classes.index(name))
    return name


def target_rule(model: Model, target: str, labels: Mapping[str, str | None]) -> TargetRule:
    """Read a target as users type it: "predicted", "label", a class's name or its index.

    An image without a label, or with one that is no class of the model, is explained for its
    predicted class.

    Raises:
        UsageError: the target is none of these; "label" is asked for and no image has a label
            that is a class of the model; or outputs are independent, and it is no class.
    """
    if target in ("predicted", "label"):
        require_exclusive(model, target)
    if target == "predicted":
        return lambda _id: None
    if target == "label":
        return _label_rule(model, labels)
    index = class_index(model, target)
    if index is None:
        names = near(target, ["predicted", "label", "all", *model.classes])
        raise UsageError(f"Unknown target {target!r}{names}")
    return lambda _id: index


def require_exclusive(model: Model, target: str) -> None:
    """Make sure that one class is the predicted one.

    Raises:
        UsageError: outputs are independent.
    """
    if not model.outputs.exclusive:
        raise UsageError(
            f"Expected an output to explain, but got {target!r}: the outputs "
            f"{', '.join(model.classes)} are independent, and none of them is the one that is "
            "predicted; name one with --target, or all"
        )


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


def class_index(model: Model, name: str) -> int | None:
    """Return the index of a class by its name, or by the index as text; None if there is none."""
    if name in model.classes:
        return model.classes.index(name)
    if name.isdecimal() and int(name) < len(model.classes):
        return int(name)
    return None
