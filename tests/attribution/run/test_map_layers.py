"""Each map lies on a layer's grid, and the run says which and where its cells are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from torch import nn

from tests.attribution.on_disk import noise, read_pixels
from tests.models.nets import Brightness, Conv, plain, swin, vit, wrapped
from xattn.attribution.registry import METHODS, Method
from xattn.attribution.run.map_layers import record_places
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.plan import make_plan
from xattn.errors import MethodError, RunError
from xattn.images import Cells
from xattn.models import Model, wrap
from xattn.models.architectures.registry import build
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

SHIFTED = Cells((0.0, 8.0, 16.0, 24.0), tuple(np.arange(6) * 8.0), (32, 48))


@pytest.fixture
def shifted(monkeypatch):
    """Let the explained layer's cells lie as a strided network's do, at its patches' corners."""
    monkeypatch.setattr(Model, "cells", lambda self, layer=None: SHIFTED)


def layers_of(model: Model, methods: list[str], targets: tuple[str, ...] = ("predicted",)) -> dict:
    return record_places(model, make_plan(model, methods, targets, {}))["map_layers"]


def test_cam_maps_lie_on_the_explained_layer_and_pixel_maps_on_the_input():
    model = wrapped(Conv().eval())
    methods = ["gradcam", "eigencam", "scorecam", "ablationcam", "saliency", "occlusion"]
    found = layers_of(model, methods, ("predicted", "malignant"))
    assert found.pop("saliency") == found.pop("occlusion@malignant") == "input"
    assert found.pop("saliency@malignant") == found.pop("occlusion") == "input"
    assert set(found.values()) == {model.target_layer}
    assert "gradcam@malignant" in found


def test_attention_lies_on_the_layer_that_was_chosen():
    model = wrapped(vit())
    first, last = (model.attention_layers[i].name for i in (0, -1))
    found = layers_of(model, ["attention", "attention[layer=0]", "rollout", "gradient-rollout"])
    assert found == {
        "attention": last,
        "attention[layer=0]": first,
        "rollout": last,
        "gradient-rollout": first,
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: wrapped(Conv().eval()),
        lambda: wrapped(vit()),
        lambda: wrapped(swin(), size=(32, 32)),
        lambda: wrapped(build("resnet18-la", 2).eval(), size=(64, 64)),
    ],
    ids=["conv", "vit", "swin", "resnet18-la"],
)
def test_every_methods_maps_have_the_cells_of_its_layer(make, tmp_path):
    model = make()
    noise(tmp_path / "a.png")
    able = []
    for name, method in METHODS.items():
        try:
            method.check(model)
        except MethodError:
            continue
        if len(list(model.module.parameters())) < 40 or name not in ("scorecam", "ablationcam"):
            able.append(name)  # hundreds of channels take long
    able += ["attention[layer=0]"] * bool(model.attention_layers)
    run = explain(model, tmp_path / "a.png", methods=able, out=tmp_path / "run", overlay="none")
    assert run.spread_evenly == []
    for method in run.methods:
        assert run.cells(method).grid == run.map_array(method).shape[1:]
        assert run.cells(method).size == model.preprocessing.size


def test_a_layer_called_input_is_not_taken_for_the_pixels():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = Brightness().cells

        def forward(self, x):
            mean = self.input(x).mean((1, 2, 3))
            return mean[:, None] * mean.new_tensor([1.0, -1.0])

    model = wrap(Odd(), classes=["a", "b"], preprocessing=plain())
    record = record_places(model, make_plan(model, ["gradcam", "saliency"], ["predicted"], {}))
    assert record["map_layers"]["gradcam"] == "input"
    grids = {m: record["cells"][layer]["grid"] for m, layer in record["map_layers"].items()}
    assert grids == {"gradcam": [4, 6], "saliency": [32, 48]}


def test_a_method_whose_maps_are_not_its_layers_is_refused_by_name(monkeypatch, tmp_path):
    class Coarse(Method):
        card = METHODS["saliency"].card

        def maps(self, model, captured):
            return captured.logits.new_ones(len(captured.logits), 2, 3)

    monkeypatch.setitem(METHODS, "saliency", Coarse())
    noise(tmp_path / "a.png")
    with pytest.raises(MethodError, match=r"'saliency' of 32 x 48 cells.*got 2 x 3.*map_layer"):
        explain(
            wrapped(Brightness()), tmp_path / "a.png", methods=["saliency"], out=tmp_path / "run"
        )


def test_the_run_stores_the_places_and_overlays_are_drawn_there(shifted, tmp_path):
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[8:16, 16:24] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    model = wrapped(Brightness())
    run = explain(model, tmp_path / "a.png", out=tmp_path / "run")
    stored = read_record(run.path / "run.json")
    assert stored["cells"][model.target_layer]["y"] == [0.0, 8.0]
    assert run.cells("gradcam") == SHIFTED
    drawn = read_pixels(run.path / "overlays/gradcam/a.png").astype(int).sum(2)
    # The cell (1, 2) is drawn at (8, 16), the corner of its patch: it lights what is above and left
    # of the patch, and not what is below and right.
    assert drawn[6, 14] > 2 * drawn[17, 25]


class TestAFolderOfAnEarlierVersion:
    def drop(self, run: RunFolder) -> None:
        stored = read_record(run.path / "run.json")
        for key in ("cells", "map_layers"):
            del stored[key]
        (run.path / "run.json").write_text(json.dumps(stored))

    def test_is_read_as_spread_evenly_and_says_of_what(self, images):
        run = explain(
            wrapped(Brightness()), images, methods=["gradcam", "saliency"],
            out=images.parent / "run", overlay="none",
        )  # fmt: skip
        self.drop(run)
        old = RunFolder.open(run.path)
        assert old.cells("gradcam") == Cells.spread((4, 6), (32, 48))
        assert old.cells("saliency") == Cells.spread((32, 48), (32, 48))
        assert old.spread_evenly == ["gradcam"]

    def test_learns_the_places_when_gone_on_with_and_counts_older_overlays(self, shifted, images):
        model, out = wrapped(Brightness()), images.parent / "run"
        run = explain(model, images, out=out)
        self.drop(run)
        again = explain(model, images, out=out)
        assert again.cells("gradcam") == SHIFTED
        assert again.settings["overlays_spread_evenly"] == len(again.predictions)
        noise(images / "new.png", seed=5)
        later = explain(model, images, out=out)
        assert later.settings["overlays_spread_evenly"] == len(again.predictions)

    def test_owes_no_overlays_where_none_were_drawn(self, shifted, images):
        model, out = wrapped(Brightness()), images.parent / "run"
        self.drop(explain(model, images, out=out, overlay="none"))
        again = explain(model, images, out=out, overlay="none")
        assert "overlays_spread_evenly" not in again.settings
        alone = images.parent / "alone"
        self.drop(explain(model, images, methods=[], out=alone))
        again = explain(model, images, methods=["gradcam"], out=alone)
        assert again.cells("gradcam") == SHIFTED
        assert "overlays_spread_evenly" not in again.settings

    def test_owes_no_overlays_where_cells_are_spread_evenly_anyway(self, images):
        model, out = wrapped(Brightness()), images.parent / "run"
        self.drop(explain(model, images, out=out))
        again = explain(model, images, out=out)
        assert again.spread_evenly == []
        assert "overlays_spread_evenly" not in again.settings


def test_a_folder_keeps_its_places_and_refuses_others_by_name(shifted, images, monkeypatch):
    model, out = wrapped(Brightness()), images.parent / "run"
    explain(model, images, out=out, overlay="none")
    near = Cells(tuple(v + 0.1 for v in SHIFTED.y), SHIFTED.x, SHIFTED.size)
    monkeypatch.setattr(Model, "cells", lambda self, layer=None: near)
    noise(images / "new.png", seed=5)
    assert explain(model, images, out=out, overlay="none").cells("gradcam") == SHIFTED
    far = Cells(tuple(v + 3 for v in SHIFTED.y), SHIFTED.x, SHIFTED.size)
    monkeypatch.setattr(Model, "cells", lambda self, layer=None: far)
    with pytest.raises(RunError, match=r"cells of 'cells'.*\(0\.0, 0\.0\) to.*got \(3\.0, 0\.0\)"):
        explain(model, images, out=out, overlay="none")


def test_places_that_are_not_the_maps_are_refused_by_name(images):
    run = explain(wrapped(Brightness()), images, out=images.parent / "run", overlay="none")
    stored = read_record(run.path / "run.json")
    stored["cells"]["cells"] = Cells.spread((2, 3), (32, 48)).to_dict()
    (run.path / "run.json").write_text(json.dumps(stored))
    with pytest.raises(RunError, match=r"4 x 6 cells of 'gradcam' in .*run.json, but got 2 x 3"):
        RunFolder.open(run.path).cells("gradcam")
