"""Files deeper than 8 bits, from the command line: the network sees all of them, edits too."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.images.deep_files import DEEP_FILES
from tests.images.test_depth import CUT
from xattn.cli import main
from xattn.images import find_images

SIDE = 32
Y, X = np.mgrid[:SIDE, :SIDE]


class Fine(nn.Module):
    """A network to which a fraction of an 8-bit level matters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, 3, h, w) to logits (n, 2)."""
        return self.fc(torch.sin(1000 * self.conv(x)).mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("fine") / "fine.pt"
    torch.jit.script(Fine().eval()).save(path)
    return path


def call(*words: object) -> int:
    return main([str(word) for word in words])


def options(checkpoint, file):
    window = [] if file.window is None else ["--window", ",".join(map(str, file.window))]
    return ["--ckpt", checkpoint, "--classes", "benign,malignant", "--size", SIDE, *window,
            "--mean", "0,0,0", "--std", "1,1,1", "--input-mode", "squash"]  # fmt: skip


@pytest.mark.parametrize("kind", DEEP_FILES)
def test_explain_gives_the_logits_of_floats(tmp_path, monkeypatch, checkpoint, kind):
    """The twin: fractions of the full range, as torchvision or MONAI would feed them."""
    monkeypatch.chdir(tmp_path)
    file = DEEP_FILES[kind]
    fractions = file.save(tmp_path / file.name, 0.3 + 0.2 * np.sin(X / 5) * np.cos(Y / 7))
    fractions = np.stack([fractions] * 3, -1) if fractions.ndim == 2 else fractions
    given = options(checkpoint, file)
    words = [
        "explain",
        *given,
        "--images",
        file.name,
        "--overlay",
        "none",
        "-m",
        "none",
        "--out",
        "r",
    ]
    assert call(*words, "--strict", "--quiet") == 0
    found = pd.read_parquet("r/predictions.parquet")[["logit_benign", "logit_malignant"]]
    with torch.inference_mode():
        exact, rounded = (
            Fine()(torch.tensor(np.moveaxis(one, -1, 0)[None], dtype=torch.float32)).numpy()
            for one in (fractions, np.rint(fractions * 255) / 255)
        )
    np.testing.assert_allclose(found.to_numpy(), exact, atol=5e-4)
    assert np.abs(rounded - exact).max() > 5e-3


def study(folder, kind, n=24):
    """Write n deep images of one kind, a mark in some, and their annotation file."""
    file, images = DEEP_FILES[kind], []
    rng = np.random.default_rng(0)
    for i in range(n):
        mark = np.zeros((SIDE, SIDE), bool)
        if i % 2:
            mark[4:8, 6 + i % 5 : 16 + i % 5] = True
        fractions = 0.3 + 0.05 * np.sin(X / 5 + i) + 0.01 * rng.random((SIDE, SIDE))
        name = f"f{i:02d}{file.name[1:]}"
        file.save(folder / name, np.where(mark, 0.9, fractions))
        Image.fromarray(mark).save(folder / f"f{i:02d}_mark.png")
        path = find_images(folder / name)[0].path.relative_to(folder)
        images.append({
            "id": f"f{i:02d}", "file": str(path), "label": ["benign", "malignant"][i // 2 % 2],
            "masks": {"mark": f"f{i:02d}_mark.png"},
        })  # fmt: skip
    content = {
        "schema": "xattn-annotations/1",
        "labels": ["benign", "malignant"],
        "features": {"mark": {"kind": "artifact"}},
        "domain": "radiograph",
        "images": images,
    }
    (folder / "a.json").write_text(json.dumps(content))


@pytest.mark.parametrize("kind", ["PNG of 16 bits", "TIFF of floats", "DICOM of MONOCHROME1"])
def test_feature_usage_edits_the_floats(tmp_path, monkeypatch, checkpoint, kind):
    """The twin: the same images and network through the Python interface, edited by hand."""
    from xattn.analysis.interventions.editor import Editor
    from xattn.features.feature_set import FeatureSet
    from xattn.runs import RunFolder

    monkeypatch.chdir(tmp_path)
    study(tmp_path, kind)
    words = ["feature-usage", *options(checkpoint, DEEP_FILES[kind]), "--annotations", "a.json",
             "--run", "r", "--permutations", 19, "--bootstrap", 99, "--method", "occlusion",
             "--strict", "--quiet"]  # fmt: skip
    assert call(*words) == 0
    run = RunFolder.open("r")
    edits = pd.read_csv("r/interventions.csv").set_index(["feature", "intervention"])
    assert edits.loc[("mark", "inpaint"), "n"] == 12
    doses = pd.read_csv("r/doses.csv")
    assert {"light", "opacity"} <= set(doses["intervention"])
    editor = Editor(run, FeatureSet.open(run), seed=0)
    before = editor.image(1)
    assert before is not None
    assert before.dtype == np.float32
    with torch.inference_mode():
        logits = Fine()(torch.from_numpy(before / 255).movedim(-1, 0)[None]).numpy()[0]
    row = run.predictions.iloc[1]
    np.testing.assert_allclose(row[["logit_benign", "logit_malignant"]].tolist(), logits, atol=5e-4)


def test_what_is_cut_to_8_bits_is_counted_and_strict_refuses_it(
    tmp_path, monkeypatch, capsys, checkpoint
):
    monkeypatch.chdir(tmp_path)
    write, _ = CUT["x.ppm"]
    write(tmp_path / "x.ppm")
    Image.fromarray(np.full((32, 32), 9, np.uint8)).save(tmp_path / "y.png")
    given = ["explain", *options(checkpoint, DEEP_FILES["PNG of 16 bits"]), "--images", ".",
             "--overlay", "none", "-m", "none", "--out", "r"]  # fmt: skip
    told = (
        "1 of 2 images reached the model cut to 8 bits, though their files hold more (12-bit "
        "colour); save them as PNG or TIFF of 16 bits"
    )
    assert call(*given) == 0
    assert told in capsys.readouterr().out
    assert call(*given, "--strict") == 3
    assert told in capsys.readouterr().out
