"""The report's commands make the run again, byte by byte."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import xattn
from tests import forked
from tests.fabricate import fabricate_run
from tests.figures.populated import explained_run
from xattn.analysis.settings import (
    EvaluateInputs,
    EvaluateSettings,
    FaithfulnessSettings,
    UsageInputs,
    UsageSettings,
)
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.page.reproduce import commands
from xattn.figures.page.settings import ReportSettings
from xattn.plugins import load_file
from xattn.runs import RunFolder
from xattn.runs.calls import record_call
from xattn.settings import Settings
from xattn.settings.load import LoadSettings

FOLDER = "it's a «run» & more"

PLUGIN = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        logits = self.head(self.features(x).mean((2, 3)))
        return {"aux": logits.sum(1), "main": logits}
"""

OTHER: dict[type[Settings], dict[str, Any]] = {
    LoadSettings: {
        "arch": "my-net", "classes": ("benign", "malignant"), "size": (48, 56),
        "mean": (0.5, 0.4, 0.3), "std": (0.25, 0.2, 0.3), "interpolation": "bicubic",
        "window": (0.0, 4095.0), "weights": "raw", "input_mode": "crop",
        "target_layer": "features.2", "outputs": "softmax", "output": "main",
        "unsafe_pickle": True, "device": "cpu", "channels": 3,
    },
    ExplainInputs: {"images": ["my images/*.jpg"], "annotations": "my data/isic_attributes.json"},
    ExplainSettings: {
        "methods": ["gradcam", "layercam@benign"], "target": ["label", "malignant"],
        "overlay": "jpeg", "exact": True, "accelerate": "torch", "shard": "1/1",
        "compiled": True, "batch_size": 7,
        "workers": 1,
    },
    FaithfulnessSettings: {"images": 8, "seed": 5},
    UsageInputs: {"annotations": "my data/isic_attributes.json"},
    UsageSettings: {
        "permutations": 39, "bootstrap": 119, "alpha": 0.2, "positive": ["benign"],
        "decision": "majority", "computed": False, "detect": True,
        "more_features": "more's.csv", "exclude": ["streaks", "age"], "seed": 4,
        "domain": "dermoscopy",
        "interventions": 9, "concepts": False, "cross_check": True, "workers": 1,
        "given": ["ruler", "hair"],
        "learner": "ridge", "label_column": "sex", "accelerate": "none",
        "precision": "32",
    },
    ReportSettings: {"gallery": 5},
}  # fmt: skip
"""For each option another value than its default."""

APART: dict[type[Settings], dict[str, Any]] = {
    LoadSettings: {"ensemble": "logits"},
    # Of a checkpoint that knows its splits, and not of the model itself (`exact`).
    ExplainSettings: {"split": ["test", "ood"], "precision": "bf16"},
    UsageSettings: {"target": ["mass", "edema"]},
}
"""Those that do not go with the rest: of several checkpoints, and of independent outputs."""


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test loads is none of the others'."""
    monkeypatch.setattr("xattn.plugins._files", [])


@pytest.mark.parametrize("kind", OTHER)
def test_every_option_has_another_value_here(kind) -> None:
    options = {name for name, option in kind.options().items() if option.flags}
    apart = APART.get(kind, {})
    assert {*OTHER[kind], *apart} == options, "an option is new: give it a value in OTHER"
    assert {*other(kind).changed(), *kind(**apart).changed()} == options
    for name in apart:
        assert kind.options()[name].flags[0] in kind(**apart).words()


def other(kind: type[Settings]) -> Settings:
    return kind(**OTHER[kind])


def words_of(*kinds: type[Settings]) -> list[str]:
    found = [word for kind in kinds for word in other(kind).words()]
    for kind in kinds:
        for name, option in kind.options().items():
            said = name in APART.get(kind, {}) or option.flags[:1] == () or option.flags[0] in found
            assert said or not option.recorded
    return [*found, "--workers", "1"]


def run_forked(words: list[str], folder: Path) -> None:
    process = forked.start(forked.command, *words, folder=folder)
    process.join()
    assert process.exitcode == 0, f"{words}\n{forked.said(folder)}"
    for end in ("out", "err"):
        (folder / f"process.{end}").unlink()


def run_command(command: str, folder: Path) -> None:
    """Run a line of the report as one does: by a shell, in a new Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def told(page: Path) -> list[str]:
    found = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", page.read_text("utf-8"), re.DOTALL)
    assert found
    return html.unescape(found[1]).strip().splitlines()


def tables(run: Path) -> dict[str, bytes]:
    """The bytes of every table and map; what files were (inputs.parquet) names their times."""
    kinds = (".csv", ".parquet")
    found = [p for p in run.iterdir() if p.suffix in kinds and p.name != "inputs.parquet"]
    found += [p for p in (run / "maps.zarr").rglob("*") if p.is_file()]
    return {p.relative_to(run).as_posix(): p.read_bytes() for p in sorted(found)}


def made(folder: Path) -> None:
    """A folder with images, annotations, a plugin and a pickled network of its class."""
    written = xattn.synthesize(folder / "my data", 30, size=(64, 80), seed=1)
    shutil.move(written.parent / "images", folder / "images")
    (written.parent / "images").symlink_to(folder / "images")
    (folder / "images").rename(folder / "my images")
    (written.parent / "images").unlink()
    (written.parent / "images").symlink_to(Path("..") / "my images")
    known = json.loads(written.read_text("utf-8"))["images"]
    more = pd.DataFrame({"image_id": [one["id"] for one in known]})
    more["scanner"] = [("one", "two", "three")[i % 3] for i in range(len(more))]
    more.to_csv(folder / "more's.csv", index=False)
    plugin = folder / "my net.py"
    plugin.write_text(PLUGIN)
    torch.manual_seed(0)
    torch.save(sys.modules[load_file(plugin)].Net().eval(), folder / "net.pt")


@pytest.mark.slow
def test_the_commands_of_the_report_make_every_table_again(tmp_path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    made(first)
    shutil.copytree(first, again, symlinks=True)
    xattn_ = ["--plugin", "my net.py"]
    loading = ["--ckpt", "net.pt", *words_of(LoadSettings)]
    explain = words_of(ExplainInputs, ExplainSettings)
    measured = ["--evaluate", *other(FaithfulnessSettings).words()]
    run_forked([*xattn_, "explain", *loading, *explain, *measured, "--out", FOLDER], first)
    usage = words_of(UsageInputs, UsageSettings)
    methods = ["--images", "my images/*.jpg", "-m", "gradcam"]
    run_forked([*xattn_, "feature-usage", *loading, *methods, *usage, "--run", FOLDER], first)
    run_forked(["report", FOLDER, *words_of(ReportSettings)[:-2]], first)
    lines = told(first / FOLDER / "report.html")
    assert len(lines) == 3
    for line in lines:
        run_command(line, again)
    before, after = tables(first / FOLDER), tables(again / FOLDER)
    assert list(before) == list(after)
    assert [name for name, content in before.items() if after[name] != content] == []
    assert {"faithfulness.csv", "interventions.csv", "feature_usage.csv"} < set(before)
    assert len(pd.read_csv(first / FOLDER / "interventions.csv"))
    assert told(again / FOLDER / "report.html") == lines


def run_with_calls(root: Path, *calls: dict[str, Any], **facts: dict[str, Any]) -> RunFolder:
    """A run made by hand whose records hold calls."""
    run = explained_run(root, 4)
    record = run.path / "run.json"
    record.write_text(json.dumps({**run.settings, "calls": list(calls)}), "utf-8")
    for name, call in facts.items():
        (run.path / f"{name}.json").write_text(json.dumps({"call": call}), "utf-8")
    return RunFolder.open(run.path)


def called(root: Path, command: str, checkpoint: str | None = "m.pt", **parts: Settings) -> Any:
    model = {"checkpoint": checkpoint, "options": {}, "in_python": []}
    return record_call(command, root, model, **parts)


def lines_of(*runs: RunFolder) -> list[str]:
    return commands(AlignedRuns.of(list(runs)))


def explained(root: Path, **settings: Any) -> Any:
    inputs = ExplainInputs(images=[root / "images"])
    return called(root, "explain", inputs=inputs, settings=ExplainSettings(**settings))


def test_a_run_that_was_added_to_is_made_again_call_by_call(tmp_path) -> None:
    first, second = explained(tmp_path), explained(tmp_path, methods=["layercam"])
    assert lines_of(run_with_calls(tmp_path, first, second)) == [
        "xattn explain --ckpt m.pt --images images --out run",
        "xattn explain --ckpt m.pt --images images --method layercam --out run",
        "xattn report run",
    ]


def test_an_evaluation_stands_where_it_was_made(tmp_path) -> None:
    inputs = EvaluateInputs(annotations=tmp_path / "a.json")
    evaluated = called(tmp_path, "evaluate", inputs=inputs, settings=EvaluateSettings(seed=2))
    line = "xattn evaluate --ckpt m.pt --annotations a.json --seed 2 --out run"
    run = run_with_calls(tmp_path / "one", explained(tmp_path), evaluation=evaluated)
    assert lines_of(run)[1] == line
    run = run_with_calls(tmp_path / "two", evaluated, evaluation=evaluated)
    assert lines_of(run) == [line, "xattn report run"]


def test_runs_of_different_folders_are_named_from_the_one_above(tmp_path) -> None:
    runs = [run_with_calls(tmp_path / n, explained(tmp_path / n)) for n in ("one", "two")]
    assert lines_of(*runs) == [
        "xattn explain --ckpt one/m.pt --images one/images --out one/run",
        "xattn explain --ckpt two/m.pt --images two/images --out two/run",
        "xattn report one/run two/run --out report.html",
    ]


def test_what_no_command_can_say_is_a_comment(tmp_path) -> None:
    silent = fabricate_run(
        tmp_path / "silent", explained_run(tmp_path / "x", 4).maps("gradcam")[:, 0, :2], {}
    )
    assert lines_of(silent)[0].startswith("# 'run' does not say how it was made")
    many = ExplainInputs(images=[f"{i}.png" for i in range(101)])
    in_memory = called(tmp_path, "explain", None, inputs=many, settings=ExplainSettings())
    in_memory["model"]["in_python"] = ["preprocessing"]
    comments = lines_of(run_with_calls(tmp_path / "memory", in_memory))[:-2]
    assert [line[:2] for line in comments] == ["# ", "# ", "# "]
    assert "in memory" in comments[0]
    assert comments[1].endswith(": preprocessing")
    assert "images.txt: the 101 images" in comments[2]


def test_a_line_end_in_a_name_ends_no_comment(tmp_path) -> None:
    run = explained_run(tmp_path, 4)
    run = RunFolder.open(run.path.rename(tmp_path / "a\nrm -rf b"))
    assert "\n" not in lines_of(run)[0]
