"""One command for every architecture of the study, and one of another family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.models.nets import with_statistics, wrapped
from xattn.attribution.run.pipeline import explain
from xattn.models import ARCHITECTURES, build

METHODS = [
    "gradcam", "gradcam++", "layercam", "attention", "rollout", "gradient-rollout",
    "integrated-gradients",
]  # fmt: skip
ROLLOUTS = {"rollout", "gradient-rollout"}
LEFT_OUT = {
    "convolutional": {"attention", *ROLLOUTS},
    "hybrid": ROLLOUTS,
    "control": {"attention", *ROLLOUTS},
    "transformer": set(),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ARCHITECTURES, "convnext_atto"])
def test_the_methods_that_make_sense_are_done_and_the_others_named(
    name, images, tmp_path, monkeypatch
):
    # How near the sum of the steps is to the integral is no question here.
    monkeypatch.setattr("xattn.attribution.methods.pixel.STEPS", 8)
    entry = ARCHITECTURES.get(name)
    family = entry.family if entry else "convolutional"
    side, sized = 96, {"img_size": 96} if "224" in name else {}
    model = wrapped(with_statistics(build(name, 2, **sized)).eval(), (side, side))
    run = explain(model, images, methods=METHODS, out=tmp_path / "run", overlay="none")
    expected = {"rollout"} if "swin" in name else LEFT_OUT[family]
    assert set(run.settings["left_out"]) == expected
    assert run.methods == [m for m in METHODS if m not in expected]
    for method in run.methods:
        maps = run.maps(method)
        assert np.isfinite(maps).all()
        # A random network's evidence may well be negative everywhere, which Grad-CAM shows as 0.
        if method in ("attention", *ROLLOUTS, "integrated-gradients"):
            assert (run.predictions[f"degenerate_{method}"] == "").all(), method
    assert run.maps("integrated-gradients").shape == (1, side, side)
