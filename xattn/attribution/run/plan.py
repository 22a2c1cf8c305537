"""What a run makes of each image: methods for targets, under the names they are stored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xattn.attribution.registry import AT_LAYER, Method, method
from xattn.attribution.targets import Target, list_targets
from xattn.errors import MethodError
from xattn.models.interface import Model


@dataclass(frozen=True)
class Plan:
    """Methods for targets.

    Attributes:
        targets: the first is the one whose maps bear the methods' plain names.
        jobs: by the name under which maps are stored, the method and the index of its target.
        left_out: methods that were asked for and make no sense for the model, and why.
    """

    targets: tuple[Target, ...]
    jobs: dict[str, tuple[Method, int]]
    left_out: dict[str, str]

    def only(self, names: Sequence[str]) -> Plan:
        """Return the plan of some of its maps, in the order given."""
        return replace(self, jobs={name: self.jobs[name] for name in names if name in self.jobs})


def make_plan(
    model: Model,
    names: Sequence[str],
    targets: Sequence[str],
    labels: Mapping[str, str | None],
) -> Plan:
    """Put methods and targets together as users name them.

    Args:
        model: what is explained.
        names: methods, some with options (`attention[layer=3]`); `METHOD@TARGET` is one method
            for one further target, as maps are stored, so that the names found in a run folder
            make the same run again.
        targets: what each plain method is made for; the first decides the plain maps' class.
        labels: reference class by image id.

    Raises:
        UsageError: a method or a target is unknown.
        MethodError: not one of the methods makes sense for the model, or its explained layer
            cannot be explained.
    """
    wanted = [_read(model, name) for name in names]
    plain = dict.fromkeys(m for found, at, _ in wanted for m in found if not at)
    pairs = [(m, target) for found, at, target in wanted for m in found if at]
    known = list_targets(model, [*targets, *(target for _, target in pairs)], labels)
    asked = known[: len(list_targets(model, targets, labels))]
    # Maps of no class are made once.
    jobs = {
        target.stored(m.name): (m, i)
        for i, target in enumerate(asked)
        for m in plain
        if i == 0 or m.card.by_class
    }
    for m, target in pairs:
        (alone,) = list_targets(model, [target], labels)
        index = [each.name for each in known].index(alone.name)
        jobs.setdefault(known[index].stored(m.name), (m, index))
    left_out = _check(model, [m for m, _ in jobs.values()])
    kept = {name: job for name, job in jobs.items() if job[0].name not in left_out}
    return Plan(known, kept, {name: str(err) for name, err in left_out.items()})


def _read(model: Model, name: str) -> tuple[tuple[Method, ...], str, str]:
    """Read `METHOD` or `METHOD@TARGET`: the methods it stands for, "@" or "", the target."""
    plain, at, target = name.partition("@")
    return method(plain).expand(model), at, target


def _check(model: Model, methods: Sequence[Method]) -> dict[str, MethodError]:
    """Return the methods that make no sense for the model; its own problems are raised."""
    if any(m.needs & AT_LAYER for m in methods):
        _ = model.target_layer
    left_out = {}
    for m in dict.fromkeys(methods):
        try:
            m.check(model)
        except MethodError as err:
            left_out[m.name] = err
    if left_out and len(left_out) == len(set(methods)):
        raise next(iter(left_out.values()))
    return left_out
