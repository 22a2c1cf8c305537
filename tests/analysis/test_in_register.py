"""What the analysis finds where the run says where its cells look, and where it does not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.analysis.annotated import VIEW, disc, plant
from tests.fabricate import fabricate_run
from xattn.analysis.feature_usage import feature_usage
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.cli import main
from xattn.images import Cells
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

QUICK = {"permutations": 99, "bootstrap": 99, "interventions": 0, "computed": False}
N = 40
CORNERS = Cells(tuple(np.arange(4) * 8.0), tuple(np.arange(4) * 8.0), VIEW)
"""As a ResNet has them: cell r looks at pixel 8 r, where drawn evenly it is at 8 r + 3.5."""


def corner_run(root, recorded):
    """A run whose one bright cell is where a small structure lies, as the network sees it."""
    rng = np.random.default_rng(0)
    cell = rng.integers(1, 3, (N, 2))
    maps = 0.01 * rng.random((N, 4, 4)).astype(np.float32)
    maps[np.arange(N), cell[:, 0], cell[:, 1]] = 1
    labels = ["benign", "malignant"] * (N // 2)
    run = fabricate_run(
        root, rng.normal(size=(N, 2)), {"gradcam": maps, "attention": maps}, labels,
        image_size=(32, 32), input_size=VIEW,
        cells={"gradcam": CORNERS, "attention": CORNERS} if recorded else {},
    )  # fmt: skip
    masks = disc(cell * 8 + 0.5, 2.5, 32, 32)
    images = []
    for i in range(N):
        mask, file = root / f"mask_{i}.png", root / "images" / f"img_{i:04d}.png"
        Image.fromarray((masks[i] * 255).astype(np.uint8)).save(mask)
        images.append(AnnotatedImage(file.stem, file, label=labels[i], masks={"dots": mask}))
    path = write_annotations(
        root / "annotations.json", images, labels=["benign", "malignant"],
        features={"dots": "structure"},
    )  # fmt: skip
    return run, path


def alignment_of(tables):
    return tables["alignment"].query("label == 'all'").set_index(["method", "feature"])


def test_pointing_and_lift_are_those_of_where_the_cells_look(tmp_path):
    known = feature_usage(*corner_run(tmp_path / "known", True), **QUICK)
    old = feature_usage(*corner_run(tmp_path / "old", False), **QUICK)
    now, then = (alignment_of(t).loc[("gradcam", "dots")] for t in (known, old))
    assert now["pointing"] == 1
    assert then["pointing"] == 0
    assert now["lift"] > 1.5 * then["lift"]
    assert now["lift_over_chance"] > then["lift_over_chance"]
    assert known["agreement"]["rank_correlation"].iloc[0] == pytest.approx(1)
    control = ("centre-prior", "dots")
    assert alignment_of(known).loc[control, "lift"] == alignment_of(old).loc[control, "lift"]


def test_a_run_without_the_record_has_the_tables_of_cells_spread_evenly_and_says_so(
    tmp_path, capsys
):
    planted = plant(tmp_path, 40)
    recorded = feature_usage(planted.run, planted.annotations, **QUICK)
    settings = read_record(planted.run.path / "run.json")
    del settings["cells"], settings["map_layers"]
    (planted.run.path / "run.json").write_text(json.dumps(settings))
    old = RunFolder.open(planted.run.path)
    notes = []
    for name, table in feature_usage(
        old, planted.annotations, on_note=notes.append, **QUICK
    ).items():
        pd.testing.assert_frame_equal(table, recorded[name])
    said = "does not record where the cells of its maps lie (gradcam, attention)"
    assert sum(said in note for note in notes) == 1
    facts = read_record(old.path / "analysis.json")
    assert facts["cells_spread_evenly"] == ["gradcam", "attention"]
    told = ["feature-usage", "--run", str(old.path), "--annotations", str(planted.annotations)]
    assert main([*told, "--permutations", "19", "--interventions", "0"]) == 0
    assert capsys.readouterr().out.count(said) == 1
