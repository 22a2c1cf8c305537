"""Features of dermoscopy that networks learn, and the edits held against each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from tests.analysis.counterfactuals.held import (
    AtDose,
    Held,
    Inpainted,
    Inserted,
    Matched,
    Occluded,
)
from tests.analysis.counterfactuals.kinds import DERMOSCOPY, Spec, register
from tests.analysis.counterfactuals.task import Task
from xattn.synthetic import (
    FEATURES,
    ImageSpec,
    Rendered,
    render,
    with_features,
    with_strength,
    without_features,
)


def changed(name: str, less: float, more: float) -> Callable[[ImageSpec, bool], ImageSpec]:
    """Return how training images get less and more of a strength, beside what a scene has."""
    return lambda spec, high: more_of(name)(spec, more if high else less)


def more_of(name: str) -> Callable[[ImageSpec, float], ImageSpec]:
    """Return what gives a scene more of a strength, by a fraction of what it has."""
    return lambda spec, dose: with_strength(
        spec, name, (1 + spec.strength.get(name, 0.0)) * (1 + dose) - 1
    )


def at(truth: Callable[[Spec, float], Spec], *strengths: float) -> Callable[[Spec], Sequence[Spec]]:
    """Return the scenes with some more and less."""
    return lambda spec: [truth(spec, strength) for strength in strengths]


def _register_artifact(name: str) -> None:
    def drawn(spec: ImageSpec, more: bool) -> ImageSpec:
        return (with_features if more else without_features)(spec, name)

    def borrowed(spec: ImageSpec, donor: ImageSpec) -> Rendered:
        return render(spec, DERMOSCOPY.size, {name: donor})

    without = partial(drawn, more=False)
    held: list[Held] = [
        AtDose("opacity", lambda spec, dose: with_strength(spec, name, 1 + dose)),
        Inpainted("inpaint", without),
    ]
    inside = FEATURES[name].kind == "structure"
    if not inside:
        held.append(Inserted("insert", without, borrowed))
    register(
        Task(name, DERMOSCOPY, drawn, tuple(held), ready=partial(drawn, more=True), masked=name,
             inside=inside, of_lesion=inside, fraction=0.35)
    )  # fmt: skip


for _name in FEATURES:
    _register_artifact(_name)

register(
    Task(
        "lesion",
        DERMOSCOPY,
        lambda spec, more: with_strength(spec, "lesion", float(more)),
        (Occluded("occlude", partial(with_strength, name="lesion", strength=0.0)),),
        fraction=0.85,
    )
)
register(
    Task("light", DERMOSCOPY, changed("light", -0.15, 0.15), (AtDose("light", more_of("light")),))
)
register(
    Task(
        "colour_cast",
        DERMOSCOPY,
        changed("colour_cast", -0.08, 0.08),
        (AtDose("colour-cast", lambda spec, dose: with_strength(spec, "colour_cast", dose)),),
    )
)


def _toned(spec: ImageSpec, score: float) -> ImageSpec:
    return replace(spec, traits={**spec.traits, "skin_tone": score})


def _other_tones(spec: ImageSpec) -> list[ImageSpec]:
    own = spec.traits["skin_tone"]
    return [_toned(spec, own + more) for more in (-0.8, -0.4, 0.4, 0.8)]


register(
    Task(
        "skin_tone",
        DERMOSCOPY,
        lambda spec, more: _toned(spec, 1.2 if more else -1.2),
        (Matched("skin-tone", _other_tones),),
    )
)
