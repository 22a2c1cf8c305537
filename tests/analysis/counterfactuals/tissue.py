"""Features of tissue that networks learn, and the edits held against each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.analysis.counterfactuals.held import AtDose, Held, Inpainted, Matched
from tests.analysis.counterfactuals.kinds import TISSUE, register
from tests.analysis.counterfactuals.task import Task
from xattn.synthetic.tissue.plan import ARTIFACTS, TissueSpec


def _register_artifact(name: str) -> None:
    def drawn(spec: TissueSpec, more: bool) -> TissueSpec:
        present = spec.present | {name} if more else spec.present - {name}
        return replace(spec, present=present)

    def faded(spec: TissueSpec, dose: float) -> TissueSpec:
        return replace(spec, strength={**spec.strength, name: 1 + dose})

    register(
        Task(
            name, TISSUE, drawn,
            (AtDose("opacity", faded), Inpainted("inpaint", partial(drawn, more=False))),
            ready=partial(drawn, more=True), masked=name,
        )
    )  # fmt: skip


for _name in ARTIFACTS:
    _register_artifact(_name)


def bare(spec: TissueSpec) -> TissueSpec:
    """Return the patch without artifacts, which cover nuclei."""
    return replace(spec, present=frozenset())


def _with(name: str) -> Callable[[TissueSpec, float], TissueSpec]:
    return lambda spec, much: replace(spec, strength={**spec.strength, name: much})


def _register_trait(name: str, strength: str, less: float, more: float, held: Held) -> None:
    def drawn(spec: TissueSpec, high: bool) -> TissueSpec:
        return _with(strength)(spec, more if high else less)

    register(Task(name, TISSUE, drawn, (held,), ready=bare))


_register_trait("haematoxylin", "stain", -0.3, 0.3, AtDose("stain", _with("stain")))
_register_trait(
    "sharpness", "blur", 1.0, -0.5,
    Matched("sharpness", lambda spec: [_with("blur")(spec, m) for m in (-0.6, -0.3, 0.4, 0.8)]),
)  # fmt: skip
_register_trait(
    "nuclei_diameter", "nuclear_size", -0.3, 0.3, AtDose("nuclear-size", _with("nuclear_size"))
)
_register_trait(
    "nuclei_count", "nuclear_density", -0.3, 0.3,
    AtDose("nuclear-density", _with("nuclear_density")),
)  # fmt: skip
