"""Features of tissue that networks learn, and the edits held against each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.analysis.counterfactuals.held import AtDose, Inpainted
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
