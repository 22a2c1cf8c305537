from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xattn.cli

RECIPE = """
[model]
architecture = "test_resnet"
[data]
size = 32
val = 0.3
test = 0.3
[train]
epochs = 1
lr = 0.01
[search]
trials = 2
[search.space]
train.lr = { low = 1e-4, high = 1e-1, log = true }
model.options.drop_rate = [0.0, 0.2]
"""


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    images = []
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            tmp_path / f"img{i:02d}.png"
        )
        label = ("benign", "malignant")[i % 2]
        images.append({"id": f"img{i:02d}", "file": f"img{i:02d}.png", "label": label})
    content = {"schema": "xattn-annotations/1", "labels": ["benign", "malignant"], "images": images}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return str(tmp_path / "recipe.toml"), str(tmp_path / "annotations.json")


def test_a_search_says_what_it_found_and_its_recipe_trains(inputs, tmp_path: Path, capsys):
    recipe, annotations = inputs
    out = tmp_path / "out"
    words = ["--annotations", annotations, "--out", str(out), "--device", "cpu"]
    assert xattn.cli.main(["search", recipe, *words, "--trials", "1"]) == 0
    text = capsys.readouterr().out
    assert "trial 0: complete" in text
    assert "the best of 1 trials (1 complete), which flatters it" in text
    assert (out / "figures" / "search-history.png").is_file()

    assert xattn.cli.main(["search", recipe, *words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["trials"] == 2
    assert facts["recipe"] == str(out / "best.toml")

    again = ["--annotations", annotations, "--out", str(tmp_path / "model"), "--device", "cpu"]
    assert xattn.cli.main(["train", facts["recipe"], *again, "--quiet"]) == 0


def test_a_recipe_without_a_search_is_one_line(inputs, tmp_path: Path, capsys):
    recipe, annotations = inputs
    Path(recipe).write_text(RECIPE.partition("[search]")[0])
    words = ["--annotations", annotations, "--out", str(tmp_path / "out")]
    assert xattn.cli.main(["search", recipe, *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Expected a recipe with a [search] table" in err
