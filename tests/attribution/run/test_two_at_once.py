"""Two processes that explain into one folder: each ends whole or is told by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import forked
from tests.attribution.on_disk import bright, tables
from xattn.attribution.run.pipeline import explain
from xattn.errors import RunError
from xattn.runs import RunFolder


def _job(start: Any, told: Any, images: Path, out: Path, options: dict[str, Any]) -> None:
    start.wait()
    try:
        explain(bright(), images, out=out, batch_size=2, workers=0, **options)
        told.put("done")
    except RunError as err:
        told.put(str(err))


@pytest.mark.slow
@pytest.mark.parametrize(
    "second",
    [{}, {"methods": ["hirescam"]}, {"target": "malignant"}, {"overlay": "none"}],
    ids=["equal", "another method", "another target", "no overlays"],
)
def test_leave_a_folder_that_one_alone_would(images, second):
    expected = explain(bright(), images, out=images.parent / "alone", batch_size=2)
    context = forked.server()
    ends = []
    for trial in range(10):
        out = images.parent / f"run{trial}"
        start, told = context.Barrier(2), context.Queue()
        pair = [
            context.Process(target=_job, args=(start, told, images, out, options))
            for options in ({}, second)
        ]
        for one in pair:
            one.start()
        ends += [told.get(timeout=120) for _ in pair]
        for one in pair:
            one.join()
        assert not (out / ".lock").exists()
        run = RunFolder.open(out)
        assert run.predictions["image_id"].is_unique
        assert len(run.predictions) == 7
        for method in run.methods:
            assert len(run.maps(method)) == 7
        if "gradcam" in run.methods and run.settings["target"] == "predicted":
            np.testing.assert_allclose(run.maps("gradcam"), expected.maps("gradcam"), atol=1e-6)
        if not second:
            assert tables(run) == tables(expected)
    refused = [end for end in ends if end != "done"]
    assert len(ends) - len(refused) >= 10
    assert all("at work on it" in end or "as in the run folder" in end for end in refused)
