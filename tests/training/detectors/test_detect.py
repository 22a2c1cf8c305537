import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import xattn
from tests.published import needs_lite
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.cli import main
from xattn.errors import UsageError
from xattn.training.detectors.detect import detect_artifacts

N = 60


@pytest.fixture(scope="module")
def flagged(tmp_path_factory):
    """Images of skin, half of them with a violet patch at the border; a few nobody looked at."""
    root = tmp_path_factory.mktemp("flagged")
    rng = np.random.default_rng(0)
    images = []
    for i in range(N):
        pixels = np.clip(rng.normal((220, 170, 150), 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        shown = i % 2
        if shown:
            at = rng.integers(0, 40)
            pixels[:14, at : at + 20] = (90, 40, 200)
        Image.fromarray(pixels).save(root / f"{i}.png")
        values = {} if i < 4 else {"patches": shown}
        values |= {"rare": int(i == 7), "age": 30 + i}
        images.append(
            AnnotatedImage(f"{i}", root / f"{i}.png", label="ab"[i % 3 == 0], values=values)
        )
    kinds = {"patches": "artifact", "rare": "artifact", "age": "metadata"}
    return write_annotations(root / "isic.json", images, labels=("a", "b"), features=kinds)


@needs_lite
def test_the_command_scores_every_image_and_says_how_well(flagged, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["annotations", "detect", str(flagged)]) == 0
    said = capsys.readouterr().out
    assert "rare: flagged in 1 images" in said
    table = pd.read_csv("detected.csv", dtype={"image_id": str}).set_index("image_id")
    assert list(table) == ["patches.detected"]
    assert table["patches.detected"].between(0, 1).all()
    assert len(table) == N
    facts = json.loads((tmp_path / "detected.json").read_text())
    assert facts["detectors"]["patches"]["auc"] > 0.9
    assert facts["detectors"]["patches"]["flagged"] == N // 2 - 2


def test_what_cannot_be_learned_is_refused_with_its_reason(flagged, tmp_path):
    with pytest.raises(UsageError, match=r"'patch'.*did you mean 'patches'"):
        detect_artifacts(flagged, tmp_path / "d.csv", features="patch")
    with pytest.raises(UsageError, match="rare: flagged in 1 images"):
        detect_artifacts(flagged, tmp_path / "d.csv", features=["rare"])
    with pytest.raises(UsageError, match="age: not a yes or no"):
        detect_artifacts(flagged, tmp_path / "d.csv", features="age")
    assert not list(tmp_path.iterdir())


def test_the_function_is_part_of_the_package():
    assert xattn.detect_artifacts is detect_artifacts
