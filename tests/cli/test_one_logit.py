"""The whole chain for a checkpoint of one logit and its twin of two: equal tables and pages."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.models.nets import with_statistics
from xattn.cli import main
from xattn.models import build
from xattn.synthetic.dataset import synthesize

pytestmark = pytest.mark.slow

METHODS = ["gradcam", "hirescam", "attention", "saliency"]
IMAGES = 24
IN_DEVIATIONS = ["run/verdicts.csv", "run/interventions.csv", "run/doses.csv"]
"""Tables with changes of the score in its standard deviations: equal to 1e-6 of a logit."""


@dataclass(frozen=True)
class Case:
    """A network of one logit, and what is asked of it and of its twin.

    Attributes:
        arch: a ResNet.
        seed, spread: of its weights, and the standard deviation of those of its head.
        positive: class of the score and the rates; "" for the last.
        turned: whether the classes are named the other way round.
    """

    arch: str
    seed: int
    spread: float
    positive: str
    turned: bool

    @property
    def classes(self) -> str:
        return "malignant,benign" if self.turned else "benign,malignant"


CASES = st.builds(
    Case,
    arch=st.sampled_from(["resnet10t", "test_resnet-la"]),
    seed=st.integers(0, 2**31 - 1),
    spread=st.sampled_from([0.02, 0.1, 0.5]),
    positive=st.sampled_from(["", "benign", "malignant"]),
    turned=st.booleans(),
)


def call(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def states(case: Case) -> dict[str, dict[str, torch.Tensor]]:
    """Return the weights of both."""
    torch.manual_seed(case.seed)
    net = with_statistics(build(case.arch, 1)).eval()
    nn.init.normal_(net.fc.weight, std=case.spread)
    nn.init.normal_(net.fc.bias, std=case.spread)
    one = net.state_dict()
    two = dict(one)
    for key in ("fc.weight", "fc.bias"):
        two[key] = torch.cat([torch.zeros_like(one[key]), one[key]])
    return {"one": one, "two": two}


def chain(folder: Path, weights: dict[str, torch.Tensor], case: Case, known: Path) -> None:
    """Run every command that makes numbers of a model."""
    folder.mkdir()
    torch.save(weights, folder / "model.pt")
    model = ["--ckpt", folder / "model.pt", "--arch", case.arch, "--classes", case.classes,
             "--size", "64", "--input-mode", "squash"]  # fmt: skip
    positive = ["--positive", case.positive] if case.positive else []
    run = folder / "run"
    methods = [word for method in METHODS for word in ("--method", method)]
    call("explain", *model, "--annotations", known, "--out", run, *methods, "--exact",
         "--target", "predicted", "--target", "benign", "--target", "1", "--batch-size", IMAGES,
         "--overlay", "none", "--quiet")  # fmt: skip
    call("explain", *model, "--annotations", known, "--out", folder / "faithful", "--exact",
         "--method", "gradcam", "--target", "benign", "--overlay", "none", "--evaluate",
         "--evaluate-images", 2, "--quiet")  # fmt: skip
    call("evaluate", *model, "--annotations", known, "--out", folder / "evaluated", "--quiet",
         "--bootstrap", 99, "--batch-size", IMAGES, *positive)  # fmt: skip
    call("feature-usage", "--run", run, "--annotations", known, "--interventions", 6,
         "--permutations", 99, "--bootstrap", 99, "--quiet", *positive)  # fmt: skip
    call("report", run, "--quiet", "--gallery", 4)


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    return synthesize(tmp_path_factory.mktemp("data"), IMAGES, size=(72, 96), seed=3)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # an example takes long: what fails is shown, and not made smaller
    suppress_health_check=list(HealthCheck),
)
@given(case=CASES)
def test_predictions_maps_tables_and_pages_are_equal(case, known, tmp_path_factory):
    root = tmp_path_factory.mktemp("twins")
    folders = {}
    for name, weights in states(case).items():
        folders[name] = root / name
        chain(folders[name], weights, case, known)
    assert_tables_equal(folders)
    assert_maps_equal(folders)
    one, two = (words(folder / "run" / "report.html") for folder in folders.values())
    assert len(one) > 300
    assert_words_equal(one, two)


def assert_tables_equal(folders: dict[str, Path]) -> None:
    one, two = (tables(folder) for folder in folders.values())
    assert list(one) == list(two)
    assert {"run/predictions.parquet", "run/feature_usage.csv", "run/interventions.csv",
            "run/bias.csv", "run/fairness.csv", "run/alignment.csv", "run/verdicts.csv",
            "evaluated/performance.csv", "faithful/faithfulness.csv"} <= set(one)  # fmt: skip
    assert len(one["run/interventions.csv"]) > 0
    spread = one["run/interventions.csv"]["score_sd"].min()
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
        atol = 1e-6 / min(1.0, spread) if name in IN_DEVIATIONS else 1e-6
        pd.testing.assert_frame_equal(table, other, rtol=1e-5, atol=atol, obj=name)


def assert_words_equal(one: list[str], two: list[str]) -> None:
    """A number may be printed one unit of its last digit apart, if it lies on the edge of rounding.

    The tables agree to 1e-5; where the digits are cut is another matter.
    """
    assert len(one) == len(two)
    apart = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    for a, b in apart:
        before, number, after = _parts(a)
        assert (before, after) == _parts(b)[::2], (a, b)
        step = 10.0 ** -len(number.partition(".")[2])
        assert abs(float(number) - float(_parts(b)[1])) < 1.01 * step, (a, b)
    assert len(apart) <= len(one) / 500


def _parts(word: str) -> tuple[str, ...]:
    """Return what stands before a number, the number, and what stands after it."""
    found = re.fullmatch(r"([\[(]*[−-]?)(\d+(?:\.\d+)?)([^\d]*)", word)
    assert found, word
    return found.groups()


def assert_maps_equal(folders: dict[str, Path]) -> None:
    one, two = (
        zarr.open_group(folder / "run" / "maps.zarr", mode="r") for folder in folders.values()
    )
    assert sorted(one) == sorted(two)
    for name in one:
        ours, theirs = one[name][:], two[name][:]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * max(1, np.abs(ours).max()))
    for name in ("hirescam@benign", "hirescam@malignant"):
        assert name not in one or all(np.abs(m).max() > 0 for m in one[name][:])


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for path in sorted([*folder.rglob("*.csv"), *folder.rglob("*.parquet")]):
        if path.stat().st_size > 1:
            read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
            found[path.relative_to(folder).as_posix()] = read(path)
    return found


def words(page: Path) -> list[str]:
    """Return what stands on a page, without images, hashes, times and the record at its end."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<(script|style|svg)\b.*?</\1>|<pre\b.*?</pre>", " ", text, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    text = re.sub(r"\b[0-9a-f]{64}\b|\bv-?\d+ s\b", "", text)
    return text.split()
