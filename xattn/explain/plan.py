"""What a run makes of each image: methods for targets, under the names they are stored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from xattn.explain.registry import Method, get_methods
from xattn.explain.targets import Target, list_targets
from xattn.models.interface import Model


@dataclass(frozen=True)
class Plan:
    """Methods for targets.

    Attributes:
        targets: the first is the one whose maps bear the methods' plain names.
        jobs: by the name under which maps are stored, the method and the index of its target.
    """

    targets: tuple[Target, ...]
    jobs: dict[str, tuple[type[Method], int]]

    @cached_property
    def methods(self) -> tuple[type[Method], ...]:
        """The methods, each once."""
        return tuple(dict.fromkeys(method for method, _ in self.jobs.values()))

    def needs(self, what: str) -> bool:
        """Say whether some method needs it."""
        return any(what in m.card.needs for m in self.methods)


def make_plan(
    model: Model,
    names: Sequence[str],
    targets: Sequence[str],
    labels: Mapping[str, str | None],
) -> Plan:
    """Put methods and targets together as users name them.

    Args:
        model: what is explained.
        names: methods; `METHOD@TARGET` is one method for one further target, as maps are stored,
            so that the names found in a run folder make the same run again.
        targets: what each plain method is made for; the first decides the plain maps' class.
        labels: reference class by image id.

    Raises:
        UsageError: a method or a target is unknown.
        MethodError: a method makes no sense for the model.
    """
    plain = get_methods([name for name in names if "@" not in name])
    pairs = [name.partition("@")[::2] for name in names if "@" in name]
    known = list_targets(model, [*targets, *(target for _, target in pairs)], labels)
    asked = known[: len(list_targets(model, targets, labels))]
    # Maps of no class are made once.
    jobs = {
        target.stored(m.card.name): (m, i)
        for i, target in enumerate(asked)
        for m in plain
        if i == 0 or m.card.by_class
    }
    for name, wanted in pairs:
        (method,) = get_methods([name])
        (alone,) = list_targets(model, [wanted], labels)
        index = [target.name for target in known].index(alone.name)
        jobs.setdefault(known[index].stored(name), (method, index))
    plan = Plan(known, jobs)
    for method in plan.methods:
        method.check(model)
    return plan
