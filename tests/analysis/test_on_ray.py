"""Independent outputs that workers of a Ray cluster tested have the tables of one process."""

from __future__ import annotations

import pytest

import xattn
from tests.analysis.test_independent_outputs import OUTPUTS, QUICK, findings_of, listed
from xattn.runs import RunFolder
from xattn.settings.cluster import RaySettings
from xattn.synthetic.dataset import synthesize

HOW = RaySettings(engine="ray", workers=2)


def tables(run: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.path.glob("*.csv"))}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets
def test_each_output_is_tested_by_a_worker_and_the_tables_are_those_of_one_process(
    cluster, tmp_path
):
    known = listed(synthesize(tmp_path / "data", 30, size=(64, 80), seed=7))
    model, out = findings_of(), tmp_path / "run"
    run = xattn.explain(model, methods="gradcam", annotations=known, out=out, overlay="none")
    alone = xattn.feature_usage(run, known, model=model, **QUICK)
    before = tables(run)
    spread = xattn.feature_usage(run, known, model=model, engine=HOW, **QUICK)
    assert tables(run) == before
    assert spread.targets == alone.targets == OUTPUTS
    assert spread.notes == alone.notes
