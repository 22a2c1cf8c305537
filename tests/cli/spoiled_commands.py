"""Every command that writes, on little, and what it needs; OUT stands for where it writes."""

from __future__ import annotations

from pathlib import Path

import xattn
from xattn.cli import main

RECIPE = """
[model]
architecture = "test_resnet"
[data]
size = 32
val = 0.25
test = 0.25
[train]
epochs = 1
batch_size = 8
lr = 0.01
[search]
trials = 2
sampler = "random"
[search.space]
train.lr = { low = 1e-4, high = 1e-2, log = true }
"""
STUDY = """
[synthesize]
n = 40
size = [64, 64]
[models]
recipes = ["recipe.toml"]
[evaluate]
bootstrap = 99
[explain]
methods = ["gradcam"]
[feature_usage]
permutations = 19
bootstrap = 99
interventions = 0
computed = false
concepts = false
given = ["none"]
[figures]
runs = ["alignment"]
[tables]
runs = ["alignment"]
"""
CHEAP = ["--permutations", "19", "--bootstrap", "99", "--interventions", "0", "--no-concepts",
         "--no-computed", "--given", "none"]  # fmt: skip
KNOWN = ["--annotations", "data/isic_attributes.json"]
COMMANDS = {
    "synthesize": ["synthesize", "--n", "9", "--size", "64", "--out", "OUT"],
    "synthesize --tissue": ["synthesize", "--tissue", "--n", "20", "--out", "OUT"],
    "annotations build": ["annotations", "build", "patches", "--out", "OUT.json"],
    "annotations split": ["annotations", "split", KNOWN[1], "--out", "OUT.csv"],
    "explain": ["explain", "--ckpt", "model/model.pt", *KNOWN, "--out", "OUT"],
    "explain, added to": ["explain", "--ckpt", "model/model.pt", *KNOWN, "-m", "layercam",
                          "--out", "place/run"],
    "feature-usage": ["feature-usage", *KNOWN, *CHEAP, "--run", "place/run"],
    "train": ["train", "recipe.toml", *KNOWN, "--device", "cpu", "--out", "OUT"],
    "search": ["search", "recipe.toml", *KNOWN, "--device", "cpu", "--out", "OUT"],
    "evaluate": ["evaluate", "--ckpt", "model/model.pt", *KNOWN, "--bootstrap", "99",
                 "--out", "OUT"],
    "evaluate, added to": ["evaluate", "--ckpt", "model/model.pt", *KNOWN, "--bootstrap", "99",
                           "--out", "place/run"],
    "compare": ["compare", "a=model", "b=other", "--out", "OUT"],
    "figures": ["figures", "place/run", "--only", "attribution-grid", "--only", "tables"],
    "figures --out": ["figures", "place/run", "--only", "attribution-grid", "--out", "OUT"],
    "report": ["report", "place/run"],
    "report --out": ["report", "place/run", "--out", "OUT.html"],
    "demo": ["demo", "--n", "60", "--epochs", "1", "--out", "OUT"],
    "study": ["study", "study.toml", "--out", "OUT"],
    "merge": ["merge", "place/run", "--out", "OUT"],
}  # fmt: skip
SILENT = ["annotations check", "annotations detect", "inspect", "models", "verify"]
"""Those that write nothing; `detect` writes as `split` does, after a download."""
IN_ONE_RUN = [
    "annotations build", "annotations split", "compare", "evaluate", "evaluate, added to",
    "feature-usage", "synthesize",
]  # fmt: skip
"""Those that write little, for which a disk has room that others fill."""
RESUMED = ["explain", "explain, added to", "train", "search", "study", "synthesize"]
"""Those that go on where they were stopped."""


def prepare(folder: Path) -> None:
    """Fill a folder: images, recipes, two trainings, a run with tables in `place`."""
    (folder / "place").mkdir(parents=True)
    xattn.synthesize(folder / "data", 24, size=(64, 64))
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(STUDY)
    for kind in ("normal", "tumor"):
        xattn.synthesize(folder / "made" / kind, 2, size=(64, 64))
        (folder / "patches").mkdir(exist_ok=True)
        (folder / "made" / kind / "images").rename(folder / "patches" / kind)
    known = folder / "data" / "isic_attributes.json"
    for name, seed in (("model", 0), ("other", 1)):
        words = [str(folder / "recipe.toml"), "--annotations", str(known), "--device", "cpu"]
        assert main(["train", *words, "--out", str(folder / name), "--seed", str(seed)]) == 0
    run = xattn.explain(
        xattn.load(folder / "model" / "model.pt"), annotations=known, out=folder / "place" / "run"
    )
    xattn.feature_usage(run, known, permutations=19, bootstrap=99, interventions=0, given="none",
                        computed=False)  # fmt: skip
