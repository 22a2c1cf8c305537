"""Layers that run in an engine give what the model's own give, and what it cannot take runs on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import Conv, swin, torchvision_vit, vit, with_statistics, wrapped
from xattn.attribution.attribute import attribute
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.engines.choose import Wanted, choices
from xattn.attribution.passes.engines.registry import ENGINES
from xattn.attribution.passes.engines.with_openvino import held_back, silent_openvino
from xattn.attribution.passes.fast_copy import make_fast_copy
from xattn.attribution.registry import METHODS
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.settings import ExplainSettings
from xattn.errors import MethodError, UsageError
from xattn.models import Model, build

pytest.importorskip("openvino", reason="the extra `fast` is not installed")
if held_back():
    pytest.skip(held_back(), allow_module_level=True)

BATCH = 2

NETS = {
    "convolutions": (lambda: Conv(), (32, 48)),
    "resnet": (lambda: build("test_resnet", 2), (64, 80)),
    "efficientnet": (lambda: build("test_efficientnet", 2), (64, 80)),
    "convnext": (lambda: build("test_convnext", 2), (64, 80)),
    "ga": (lambda: build("test_resnet-ga", 2), (64, 80)),
    "la": (lambda: build("test_resnet-la", 2), (64, 80)),
    "ela": (lambda: build("test_resnet-ela", 2), (64, 80)),
    "vit": (vit, (32, 48)),
    "torchvision vit": (torchvision_vit, (32, 32)),
    "swin": (swin, (32, 32)),
}


def model_of(name: str) -> Model:
    torch.manual_seed(0)
    net, size = NETS[name]
    return wrapped(with_statistics(net()).eval(), size)


@pytest.fixture(scope="module", params=NETS)
def pair(request) -> tuple[Model, Model]:
    """A model, and its copy in OpenVINO."""
    model = model_of(request.param)
    return model, make_fast_copy(model, wanted=Wanted("openvino", batch=BATCH))


def inputs(model: Model, n: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, *model.preprocessing.size, generator=generator)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(
        found, expected, rtol=0, atol=1e-4 * max(1e-6, float(expected.abs().max()))
    )


def test_every_network_of_ours_is_taken(pair):
    assert (pair[1].engine, pair[1].engine_note) == ("openvino", "")


@pytest.mark.parametrize("n", [1, 2, 5], ids="{} images".format)
def test_any_number_of_images_gives_the_models_own_numbers(pair, n):
    model, copied = pair
    x, layers = inputs(model, n), model.attention_layers
    theirs = capture(model, x, attention=layers)
    ours = capture(copied, x, theirs.targets, attention=layers)
    close(ours.logits, theirs.logits)
    for found, expected in zip(ours.at_layer(), theirs.at_layer(), strict=True):
        close(found, expected)
    for found, expected in zip(ours.attention.values(), theirs.attention.values(), strict=True):
        close(found.received(), expected.received())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_maps(pair, method):
    model, copied = pair
    x = inputs(model, 2)
    # What begins at the pixels runs on torch: its rounding is that of torch's copy.
    other = make_fast_copy(model) if METHODS[method].card.family == "pixel" else model
    try:
        expected = torch.as_tensor(attribute(other, x, method, target=0))
    except MethodError as err:
        pytest.skip(f"not of this network: {err}")
    found = torch.as_tensor(attribute(copied, x, method, target=0))
    torch.testing.assert_close(
        found, expected, rtol=0, atol=1e-6 + 2e-4 * float(expected.abs().max())
    )


def test_the_model_is_left_as_it_was():
    model = model_of("ga")
    _ = model.target_layer
    unsettle(model.module)
    before = Snapshot(model.module)
    copied = make_fast_copy(model, wanted=Wanted("openvino", batch=BATCH))
    capture(copied, inputs(model, 2), attention=copied.attention_layers)
    before.check(model.module)


class Twice(Conv):
    """One layer that runs twice before the explained one."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.bn1(self.conv1(self.twice(x))))
        return self.fc(self.bn2(self.conv2(x)).mean((2, 3)))


class Foreign(Conv):
    """Reads a number out of its input, which a tracer takes for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * float(x.detach().abs().max()))


class Random(Conv):
    """No two passes are alike, so no copy can be shown to be true."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.rand_like(x))


@pytest.mark.parametrize("net", [Foreign, Random])
def test_a_network_that_cannot_be_taken_runs_on_torch_and_says_why(net):
    torch.manual_seed(0)
    model = wrapped(net().eval())
    copied = make_fast_copy(model, wanted=Wanted("openvino", batch=BATCH))
    assert copied.engine != "openvino"
    assert copied.engine_note.startswith("openvino: ")


def test_a_layer_that_runs_twice_before_the_explained_one_stays_true():
    torch.manual_seed(0)
    model = wrapped(Twice().eval())
    copied = make_fast_copy(model, wanted=Wanted("openvino", batch=BATCH))
    x = inputs(model, 3)
    close(capture(copied, x).logits, capture(model, x).logits)


def test_auto_takes_no_engine_where_compiling_costs_more_than_it_saves():
    few, some = (
        make_fast_copy(model_of("resnet"), wanted=Wanted("auto", images=n, batch=BATCH))
        for n in (3, 300)
    )
    assert few.engine == some.engine == "torch"
    assert "fewer than 200 images" in few.engine_note
    assert "compiling takes about" in some.engine_note
    many = make_fast_copy(model_of("resnet"), wanted=Wanted("auto", images=10**9, batch=BATCH))
    assert many.engine == "openvino"


def test_other_types_of_numbers_stay_with_torch():
    model = model_of("resnet")
    model.module.double()
    copied = make_fast_copy(model, wanted=Wanted("openvino", batch=BATCH))
    assert copied.engine == "torch"
    assert "float32" in copied.engine_note


def test_an_engine_that_is_not_installed_is_refused_with_what_installs_it(monkeypatch):
    monkeypatch.setattr("xattn.attribution.passes.engines.registry.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'xattn\[fast\]'"):
        make_fast_copy(model_of("resnet"), wanted=Wanted("openvino"))
    copied = make_fast_copy(model_of("resnet"), wanted=Wanted("auto", images=10**9))
    assert copied.engine == "torch"
    assert "no engine is installed" in copied.engine_note


def test_an_engine_that_is_not_installed_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("xattn.attribution.passes.engines.registry.find_spec", lambda _name: None)
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="not installed"):
        explain(model_of("resnet"), tmp_path, out=tmp_path / "run", accelerate="openvino")
    assert not (tmp_path / "run").exists()


def test_the_option_offers_what_is_registered():
    assert set(ExplainSettings.options()["accelerate"].choices) == set(choices())
    assert "openvino" in ENGINES


@pytest.mark.parametrize("before", [False, True], ids=["first", "imported before"])
def test_nothing_is_told_to_the_makers_of_openvino(before, monkeypatch):
    if before:
        import openvino.tools.ovc  # noqa: F401
    silent_openvino()
    from openvino.tools.ovc import convert_impl, telemetry_utils

    for place in (convert_impl, telemetry_utils):
        assert place.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert sys.modules.get("openvino_telemetry", "absent") is not None


LET_GO_BY_ANOTHER_THREAD = """
import os, signal, sys, threading, torch
from xattn.attribution.passes.engines.registry import ENGINES, Extract
batch = torch.rand(2, 3, 16, 16)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)).eval()
held = [ENGINES[sys.argv[1]].build(Extract(net, ["0"]), batch)]
held[0](batch)
other = threading.Thread(target=held.clear)
other.start()
other.join()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow if one == "compile" else ()) for one in ENGINES],
)
def test_signals_are_handled_after_an_engine_is_gone(name):
    words = [sys.executable, "-c", LET_GO_BY_ANOTHER_THREAD, name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done


@pytest.mark.slow
def test_torch_compile_gives_the_same_too():
    model = model_of("resnet")
    copied = make_fast_copy(model, wanted=Wanted("compile", batch=BATCH))
    if "no C++ compiler" in copied.engine_note:
        pytest.skip(copied.engine_note)
    assert (copied.engine, copied.engine_note) == ("compile", "")
    x = inputs(model, 3)
    theirs = capture(model, x)
    ours = capture(copied, x, theirs.targets)
    close(ours.logits, theirs.logits)
    close(ours.at_layer()[1], theirs.at_layer()[1])


class TestARun:
    @pytest.fixture
    def folder(self, tmp_path):
        rng = np.random.default_rng(0)
        (tmp_path / "images").mkdir()
        for i in range(5):
            pixels = rng.integers(0, 256, (70, 100, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        return tmp_path

    def run(self, folder, accelerate, **options):
        return explain(
            model_of("ga"), folder / "images", out=folder / f"run-{accelerate}",
            accelerate=accelerate, batch_size=2, overlay="none", **options,
        )  # fmt: skip

    def test_records_its_engine_and_has_the_same_maps(self, folder):
        runs = {name: self.run(folder, name) for name in ("none", "torch", "openvino")}
        for name, run in runs.items():
            assert run.settings["engine"] == name
            for method in ("gradcam", "attention"):
                expected = runs["none"].maps(method)
                np.testing.assert_allclose(
                    run.maps(method), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
                )

    def test_goes_on_in_another_engine(self, folder):
        first = explain(
            model_of("ga"), folder / "images" / "0.png", out=folder / "run-openvino",
            accelerate="torch", batch_size=2, overlay="none",
        )  # fmt: skip
        assert len(first.predictions) == 1
        run = self.run(folder, "openvino")
        assert len(run.predictions) == 5
        assert run.settings["engine"] == "openvino"

    def test_says_why_the_engine_that_was_asked_for_was_not_taken(self, folder, monkeypatch):
        notes: list[str] = []
        model = wrapped(Foreign().eval())
        run = explain(
            model, folder / "images", out=folder / "run", accelerate="openvino",
            overlay="none", on_note=notes.append,
        )  # fmt: skip
        assert run.settings["engine"] == "none"
        assert any("--accelerate openvino not taken: openvino: " in note for note in notes)
        assert run.settings["engine_note"].startswith("openvino: ")


def test_modules_whose_layers_cannot_be_seen_say_so():
    class Head(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))[:, :2]

    copied = make_fast_copy(wrapped(Head()), wanted=Wanted("openvino"))
    assert copied.engine != "openvino"
    assert copied.engine_note
