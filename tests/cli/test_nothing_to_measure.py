"""Annotation files that leave tables empty: every command of the main job goes on and says so."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fabricate import fabricate_run
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.cli import main
from xattn.runs import TABLES, RunFolder

QUICK = ("--permutations", "99", "--bootstrap", "99", "--interventions", "0")
NAMES = (
    "alignment", "feature_usage", "interventions", "doses", "bias", "fairness", "agreement",
    "verdicts",
)  # fmt: skip
LABELS = ("benign", "malignant")
N = 12

RULER, AGE = {"ruler": "artifact"}, {"age": "metadata"}


def _age(i: int) -> dict[str, Any]:
    return {"values": {"age": 20 + i}}


def _ruler(i: int) -> dict[str, Any]:
    return {"values": {"ruler": i // 2 % 2}}


def _mask(i: int) -> dict[str, Any]:
    return {"masks": {"ruler": Path("mask.png")}}


CASES: dict[str, dict[str, Any]] = {
    "nothing but labels": {},
    "nothing at all": {"label": lambda i: None},
    "features declared, none known": {"features": {**RULER, "network": "structure"}},
    "values without labels": {"of": _age, "features": AGE, "label": lambda i: None},
    "labels for some": {"of": _age, "features": AGE, "label": lambda i: LABELS[i % 2] if i < 5
                        else None},
    "one class": {"of": _ruler, "features": RULER, "label": lambda i: "benign"},
    "one feature": {"of": _ruler, "features": RULER},
    "one image per class": {"of": _ruler, "features": RULER, "n": 2},
    "one image": {"of": _mask, "features": RULER, "n": 1},
    "a constant feature": {"of": lambda i: {"values": {"ruler": 1}}, "features": RULER},
    "the lesion alone": {"of": lambda i: {"lesion": Path("mask.png")}},
    "one mask": {"of": lambda i: _mask(i) if i == 3 else {}, "features": RULER},
    "masks without labels": {"of": _mask, "features": RULER, "label": lambda i: None},
    "one group": {"of": lambda i: {**_mask(i), **_ruler(i), "group": "g"}, "features": RULER},
}  # fmt: skip
FAST = ("nothing but labels", "nothing at all", "one image")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with maps and one without, `maps` and `none`, beside one folder of images."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    mask = np.zeros((32, 48), np.uint8)
    mask[8:20, 10:30] = 255
    for name, maps in (("maps", {"gradcam": rng.random((N, 4, 4))}), ("none", {})):
        fabricate_run(root / name, rng.normal(size=(N, 2)), maps)
        Image.fromarray(mask).save(root / name / "mask.png")
    return root


def _annotated(root: Path, case: dict[str, Any]) -> Path:
    images = [
        AnnotatedImage(
            f"img_{i:04d}",
            root / "images" / f"img_{i:04d}.png",
            **{
                "label": case.get("label", lambda i: LABELS[i % 2])(i),
                **_placed(root, case.get("of", lambda i: {})(i)),
            },
        )
        for i in range(case.get("n", N))
    ]
    features = case.get("features", {})
    return write_annotations(root / "some.json", images, labels=LABELS, features=features)


def _placed(root: Path, known: dict[str, Any]) -> dict[str, Any]:
    if "masks" in known:
        known = {**known, "masks": {k: root / v for k, v in known["masks"].items()}}
    return {**known, "lesion": root / known["lesion"]} if "lesion" in known else known


@pytest.mark.parametrize("maps", ["maps", "none"])
@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_the_main_job_goes_on_where_there_is_little_to_measure(
    name: str, maps: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(runs / maps, tmp_path / "here")
    run = str(root / "run")
    annotations = str(_annotated(root, CASES[name]))
    usage = ["feature-usage", "--run", run, "--annotations", annotations, *QUICK]
    assert main(usage) == 0
    said = capsys.readouterr().out
    assert not re.search(r"\b(nan|inf|NaT)\b|<NA>", said)
    assert main([*usage, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main([*usage, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for table in NAMES:
        stored = RunFolder.open(run).table(table)
        assert set(TABLES[table].always) <= set(stored.columns)
        assert len(found[table]) == len(stored)
    if not len(RunFolder.open(run).table("alignment")):
        assert "Note: No image has a mask: alignment.csv and interventions.csv are empty" in said
        assert "Do the maps fall on the features? nothing to show" in said
    assert main(["figures", run, "--format", "svg"]) == 0
    assert main(["report", run]) == 0


def test_a_file_without_features_is_told_so(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(runs / "maps", tmp_path / "here")
    annotations = str(_annotated(root, {}))
    assert main(["feature-usage", "--run", str(root / "run"), "--annotations", annotations]) == 0
    assert "Note: There is no feature to test" in capsys.readouterr().out


IDLE = [
    ("--arch", "resnet18"), ("--classes", "a,b"), ("--size", "64"), ("--mean", "0.5,0.5,0.5"),
    ("--outputs", "sigmoid"), ("--images", "."), ("--method", "gradcam"), ("--batch-size", "2"),
    ("--target-layer", "layer4"), ("--input-mode", "crop"), ("--unsafe-pickle",),
]  # fmt: skip


@pytest.mark.parametrize("words", IDLE, ids=lambda words: words[0])
def test_what_says_how_to_explain_is_refused_for_a_run_that_is_explained(
    words: tuple[str, ...], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = str(_annotated(shutil.copytree(runs / "none", tmp_path / "here"), {}))
    run = str(tmp_path / "here" / "run")
    assert main(["feature-usage", "--run", run, "--annotations", annotations, *words]) == 2
    said = capsys.readouterr().err
    assert f"Expected --ckpt with {words[0]}, but got a run" in said
