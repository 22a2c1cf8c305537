"""The whole chain for a checkpoint of one logit and its twin of two: equal tables and pages."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from torch import nn

from tests.models.nets import with_statistics
from xattn.cli import main
from xattn.models import build
from xattn.synthetic.dataset import synthesize

pytestmark = pytest.mark.slow

CHOICE = ["--arch", "resnet18-la", "--classes", "benign,malignant", "--size", "64",
          "--input-mode", "squash"]  # fmt: skip
METHODS = ["gradcam", "hirescam", "attention", "saliency"]


def call(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("twins")
    known = synthesize(root / "data", 24, size=(72, 96), seed=3)
    torch.manual_seed(0)
    one = with_statistics(build("resnet18-la", 1)).eval()
    nn.init.normal_(one.fc.weight, std=0.05)
    state = one.state_dict()
    twin = dict(state)
    for key in ("fc.weight", "fc.bias"):
        twin[key] = torch.cat([torch.zeros_like(state[key]), state[key]])
    found = {}
    for name, weights in (("one", state), ("two", twin)):
        folder = root / name
        folder.mkdir()
        torch.save(weights, folder / "model.pt")
        model = ["--ckpt", folder / "model.pt", *CHOICE]
        run = folder / "run"
        methods = [word for method in METHODS for word in ("--method", method)]
        call("explain", *model, "--annotations", known, "--out", run, *methods, "--exact",
             "--target", "predicted", "--target", "benign", "--target", "1", "--batch-size", 24,
             "--quiet")  # fmt: skip
        call("explain", *model, "--annotations", known, "--out", folder / "faithful", "--exact",
             "--method", "gradcam", "--target", "benign", "--overlay", "none", "--evaluate",
             "--evaluate-images", 2, "--quiet")  # fmt: skip
        call("evaluate", *model, "--annotations", known, "--out", folder / "evaluated", "--quiet",
             "--bootstrap", 99, "--batch-size", 24)  # fmt: skip
        call("feature-usage", "--run", run, "--annotations", known, "--interventions", 10,
             "--permutations", 99, "--bootstrap", 99, "--quiet")  # fmt: skip
        call("report", run, "--quiet")
        found[name] = folder
    return found


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for path in sorted([*folder.rglob("*.csv"), *folder.rglob("*.parquet")]):
        if path.stat().st_size > 1:
            read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
            found[path.relative_to(folder).as_posix()] = read(path)
    return found


def test_every_table_is_equal(folders):
    one, two = (tables(folder) for folder in folders.values())
    assert list(one) == list(two)
    assert {"run/predictions.parquet", "run/feature_usage.csv", "run/interventions.csv",
            "evaluated/performance.csv", "faithful/faithfulness.csv"} <= set(one)  # fmt: skip
    assert len(one["run/interventions.csv"]) > 0
    for name, table in one.items():
        other = two[name]
        if "faithfulness" in name:  # other numbers of weights are shuffled otherwise
            other, table = (
                t.drop(columns=[c for c in t if "randomised" in c]) for t in (other, table)
            )
            if "score" in table:
                keep = ~table["score"].str.startswith("randomised")
                other, table = other[keep], table[keep]
        if name.endswith("inputs.parquet"):
            continue
        pd.testing.assert_frame_equal(table, other, rtol=1e-5, atol=1e-6, obj=name)


def test_every_map_is_equal(folders):
    one, two = (
        zarr.open_group(folder / "run" / "maps.zarr", mode="r") for folder in folders.values()
    )
    assert sorted(one) == sorted(two)
    for name in one:
        ours, theirs = one[name][:], two[name][:]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * max(1, np.abs(ours).max()))


def test_the_maps_of_the_first_class_are_not_empty(folders):
    maps = zarr.open_group(folders["one"] / "run" / "maps.zarr", mode="r")
    assert all(np.abs(maps["hirescam@benign"][i]).max() > 0 for i in range(24))


def test_the_page_says_the_same(folders):
    one, two = (words(folder / "run" / "report.html") for folder in folders.values())
    assert len(one) > 300
    assert one == two


def words(page: Path) -> list[str]:
    """Return what stands on a page, without images, hashes, times and the record at its end."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<(script|style|svg)\b.*?</\1>|<pre\b.*?</pre>", " ", text, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    text = re.sub(r"\b[0-9a-f]{64}\b|\bv-?\d+ s\b", "", text)
    return text.split()
