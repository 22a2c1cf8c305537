"""`explain --evaluate` on images of which it is known what the model needs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests.attribution.planted import by_hand, generate, save, trained
from tests.models.nets import plain
from xattn.analysis.faithfulness.controls import CONTROLS
from xattn.analysis.faithfulness.measure import faithfulness
from xattn.analysis.faithfulness.scores import FAITHFULNESS, SANITY
from xattn.analysis.faithfulness.table import faithfulness_table
from xattn.attribution.run.pipeline import explain
from xattn.cli import main
from xattn.errors import RunError, UsageError
from xattn.models import build
from xattn.models.checkpoints.checkpoint import save_checkpoint
from xattn.runs import TABLES, RunFolder
from xattn.runs.atomic import read_record


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    save(generate(32, seed=5), root / "images")
    model = by_hand()
    run = explain(
        model, root / "images", methods=["gradcam", "eigencam"], out=root / "run",
        target=["malignant", "benign"], overlay="none",
    )  # fmt: skip
    return run, model, faithfulness(run, model, images=24, bootstrap=200)


def test_the_tables_are_in_the_folder(measured):
    run, _, found = measured
    table = run.table("faithfulness")
    assert tuple(table.columns) == TABLES["faithfulness"].promised
    judged = {"gradcam", "eigencam", "gradcam@benign", *CONTROLS}
    assert set(table["method"]) == judged
    assert set(table["score"]) == {*FAITHFULNESS, *SANITY}
    images = pd.read_parquet(run.path / "faithfulness.parquet")
    assert images.groupby(["method", "target"]).size().eq(24).all()
    facts = read_record(run.path / "faithfulness.json")
    assert (facts["images"], facts["of"]) == (24, 32)
    assert facts["sentences"] == list(found.sentences)
    assert "24 of the run's 32 images" in facts["notes"][0]


def test_a_map_of_what_the_model_needs_beats_its_controls(measured):
    rows = measured[2].table.query("method == 'gradcam'").set_index("score")
    assert rows.loc["road_morf", "beats_controls"]
    assert rows.loc["deletion", "value"] < rows.loc["deletion", "edges"]
    assert "gradcam: beats both controls in" in measured[2].sentences[0]


def test_controls_mark_the_ends_of_the_sanity_checks(measured):
    table = measured[2].table.set_index(["method", "target", "score"])["value"]
    for score in SANITY[1:]:
        assert table["control-edges", "malignant", score] == pytest.approx(1)
        assert abs(table["control-random", "malignant", score]) < 0.15
    assert table["gradcam", "malignant", "randomised_all"] < 0.8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_for_any_batch_size(measured):
    run, model, _ = measured
    found = faithfulness(run, model, images=6, bootstrap=100)
    again = faithfulness(run, model, images=6, bootstrap=100, batch_size=4)
    for column in (*FAITHFULNESS, "sensitivity"):
        np.testing.assert_allclose(found.images[column], again.images[column], atol=1e-5)


def test_another_model_is_refused(measured):
    run, model, _ = measured
    other = trained(steps=3)
    with pytest.raises(RunError, match="Expected the model that made"):
        faithfulness(run, other)
    with pytest.raises(UsageError, match="at least 1 image"):
        faithfulness(run, model, images=0)


def test_images_that_are_gone_and_maps_that_rank_nothing_are_named(tmp_path):
    paths = save(generate(6, seed=5), tmp_path / "images")
    model = by_hand()
    run = explain(model, tmp_path / "images", methods=["gradcam"], out=tmp_path / "run",
                  target="malignant", overlay="none")  # fmt: skip
    paths[2].unlink()
    run = RunFolder.open(run.path)
    maps = run.map_array("gradcam")
    import zarr

    zarr.open_array(run.path / "maps.zarr" / "gradcam", mode="r+")[4] = np.zeros(maps.shape[1:])
    blank = sum(not np.ptp(run.maps("gradcam")[i]) > 0 for i in (0, 1, 3, 4, 5))
    found = faithfulness(run, model, bootstrap=100)
    assert "1 images can no longer be read and are left out" in found.notes
    empty = f"{blank} maps of gradcam are empty or the same everywhere: they rank nothing"
    assert empty in found.notes
    rows = found.table.query("method == 'gradcam'").set_index("score")
    assert rows.loc["deletion", "n"] == 5 - blank
    for path in paths:
        path.unlink(missing_ok=True)
    with pytest.raises(RunError, match="none can be read"):
        faithfulness(run, model)


def fabricated(n: int, ahead: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frames = []
    for method, shift in (("gradcam", ahead), ("control-random", 0.0), ("control-edges", 0.0)):
        sign = {"deletion": -1, "road_morf": -1}
        values = {
            s: 0.5 + sign.get(s, 1) * shift + rng.normal(0, 0.05, n)
            for s in (*FAITHFULNESS, *SANITY)
        }
        ids = [f"i{i}" for i in range(n)]
        frames.append(
            pd.DataFrame(
                {
                    "image_id": ids,
                    "method": method,
                    "target": "a",
                    "grid": "7x7",
                    "cells": "",
                    **values,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(("ahead", "expected"), [(0.2, True), (0.0, False), (-0.2, False)])
def test_only_what_is_ahead_of_both_controls_beats_them(ahead, expected):
    table = faithfulness_table(fabricated(30, ahead)).query("p_value == p_value")
    assert len(table) == len(FAITHFULNESS)
    assert table["beats_controls"].eq(expected).all()
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_images_of_one_group_count_once():
    scores = fabricated(30, 0.2)
    alone = faithfulness_table(scores)
    few = faithfulness_table(scores, np.repeat(np.arange(3), 10))
    assert few["low"].isna().all()
    first = few.query("method == 'gradcam'")["p_random"].iloc[0]
    assert first > alone.query("method == 'gradcam'")["p_random"].iloc[0]


def test_the_command_prints_what_follows(tmp_path, capsys):
    save(generate(6, seed=5), tmp_path / "images")
    torch.manual_seed(0)
    module = build("test_resnet", 2)
    facts = {"architecture": "test_resnet", "classes": ["a", "b"]}
    save_checkpoint(tmp_path / "model.pt", module, preprocessing=plain((32, 32)), **facts)
    words = ["explain", "--ckpt", str(tmp_path / "model.pt"), "-i", str(tmp_path / "images")]
    words += ["--out", str(tmp_path / "run"), "--overlay", "none", "--evaluate"]
    assert main([*words, "--evaluate-images", "5"]) == 0
    said = capsys.readouterr().out
    assert "Does the model need what the maps show?" in said
    assert "gradcam: beats both controls in" in said
    assert "Note: 5 of the run's 6 images, drawn at random" in said
    assert main([*words, "--evaluate-images", "5", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["faithfulness"]) == 3 * len((*FAITHFULNESS, *SANITY))
