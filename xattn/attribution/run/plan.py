"""What a run makes of each image: methods for targets, under the names they are stored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from xattn.attribution.options import expand
from xattn.attribution.registry import Method, get_methods
from xattn.attribution.targets import Target, list_targets
from xattn.errors import MethodError
from xattn.models.attention import AttentionLayer
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
    jobs: dict[str, tuple[type[Method], int]]
    left_out: dict[str, str]

    @cached_property
    def methods(self) -> tuple[type[Method], ...]:
        """The methods, each once."""
        return tuple(dict.fromkeys(method for method, _ in self.jobs.values()))

    def needs(self, what: str) -> bool:
        """Say whether some method needs it."""
        return any(what in m.card.needs for m in self.methods)

    def only(self, names: Sequence[str]) -> Plan:
        """Return the plan of some of its maps, in the order given."""
        return replace(self, jobs={name: self.jobs[name] for name in names if name in self.jobs})

    def attention_of(self, model: Model) -> tuple[AttentionLayer, ...]:
        """Return the attention layers that must be listened to."""
        if self.needs("all attention"):
            return model.attention_layers
        return model.attention_layers[-1:] if self.needs("attention") else ()


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
    names = [one for name in names for one in expand(model, name)]
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
        jobs.setdefault(known[index].stored(method.card.name), (method, index))
    left_out = _check(model, [method for method, _ in jobs.values()])
    kept = {name: job for name, job in jobs.items() if job[0].card.name not in left_out}
    return Plan(known, kept, {name: str(err) for name, err in left_out.items()})


def _check(model: Model, methods: Sequence[type[Method]]) -> dict[str, MethodError]:
    """Return the methods that make no sense for the model; its own problems are raised."""
    if any(method.card.needs & {"activations", "gradients"} for method in methods):
        _ = model.target_layer
    left_out = {}
    for method in dict.fromkeys(methods):
        try:
            method.check(model)
        except MethodError as err:
            left_out[method.card.name] = err
    if left_out and len(left_out) == len(set(methods)):
        raise next(iter(left_out.values()))
    return left_out
