"""A run that workers of a Ray cluster made is the run of one process, to the byte."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.attribution.on_disk import bright, noise, tables
from tests.models.nets import CLASSES, Brightness, plain, wrapped
from xattn.attribution.run import on_ray
from xattn.attribution.run.on_ray import PARTS, explain_on_ray
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.settings import ExplainSettings
from xattn.cli import main
from xattn.cluster import connect, workers
from xattn.errors import RunError, UsageError
from xattn.models import Model, build, save_checkpoint, wrap
from xattn.runs.verify import verify
from xattn.settings.cluster import RaySettings

HOW = RaySettings(engine="ray", workers=2)
SETTINGS = ExplainSettings(batch_size=2, methods=("gradcam", "saliency"))


class Dies(Brightness):
    """Ends the process of the first worker that asks it, as a machine that is lost does."""

    def __init__(self, mark: Path, driver: int, always: bool = False) -> None:
        super().__init__()
        self.mark, self.driver, self.always = mark, driver, always

    def forward(self, x: Tensor) -> Tensor:
        if os.getpid() != self.driver and (self.always or not self.mark.exists()):
            self.mark.touch()
            os._exit(1)
        return super().forward(x)


def hybrid() -> Model:
    torch.manual_seed(0)
    return wrapped(build("test_resnet-ga", 2).eval(), (32, 32))


def assert_same(run: Any, whole: Any) -> None:
    assert tables(run) == tables(whole)
    name = "inputs.parquet"
    assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    for key in ("counts", "methods", "map_layers", "calls"):
        assert run.settings.get(key) == whole.settings.get(key), key
    assert not (run.path / PARTS).exists()
    assert verify(run.path).whole


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets
class TestOnACluster:
    @pytest.mark.parametrize("made", [bright, hybrid])
    def test_tables_maps_and_overlays_are_those_of_one_process(self, cluster, images, made):
        (images / "img_2.png").write_bytes(b"no image")
        for i in range(7, 20):
            noise(images / f"img_{i:02d}.jpg", seed=i)
        model, notes, seen = made(), [], []
        whole = explain(model, images, out=images.parent / "whole", settings=SETTINGS)
        run = explain_on_ray(
            model, images, None, images.parent / "run", SETTINGS, HOW, on_note=notes.append,
            progress=lambda done, total: seen.append((done, total)),
        )  # fmt: skip
        assert_same(run, whole)
        assert (run.path / "errors.csv").read_bytes() == (whole.path / "errors.csv").read_bytes()
        assert seen[-1] == (20, 20)
        before = tables(run)
        again = explain_on_ray(model, images, None, run.path, SETTINGS, HOW)  # nothing is left
        assert tables(again) == before

    def test_a_worker_that_is_lost_in_the_middle_is_replaced(self, cluster, images):
        mark = images.parent / "died"
        model = wrap(Dies(mark, os.getpid()), classes=CLASSES, preprocessing=plain())
        whole = explain(model, images, out=images.parent / "whole", batch_size=2)
        run = explain_on_ray(
            model, images, None, images.parent / "run", ExplainSettings(batch_size=2), HOW
        )
        assert mark.exists()
        assert_same(run, whole)

    def test_a_shard_that_kills_every_worker_is_named_and_the_others_are_kept(
        self, cluster, images, monkeypatch
    ):
        monkeypatch.setattr(workers, "TRIES", 0)
        out = images.parent / "run"
        model = wrap(
            Dies(images.parent / "died", os.getpid(), always=True), classes=CLASSES,
            preprocessing=plain(),
        )  # fmt: skip
        with pytest.raises(RunError, match=r"shard ./4: its worker died 1 times.*repeat"):
            explain_on_ray(model, images, None, out, ExplainSettings(batch_size=2), HOW)
        assert not (out / "run.json").exists()

    def test_a_call_that_was_stopped_goes_on_where_it_was(self, cluster, images):
        def stop(done: int, _total: int) -> None:
            if done:
                raise KeyboardInterrupt

        whole = explain(bright(), images, out=images.parent / "whole", settings=SETTINGS)
        with pytest.raises(KeyboardInterrupt):
            explain_on_ray(
                bright(), images, None, images.parent / "run", SETTINGS, HOW, progress=stop
            )
        assert list((images.parent / "run" / PARTS).glob("*/run.json"))
        run = explain_on_ray(bright(), images, None, images.parent / "run", SETTINGS, HOW)
        assert_same(run, whole)


def ready(images: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Go where the images are, save a model there; return the words of a call."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    monkeypatch.chdir(images.parent)
    model = hybrid()
    save_checkpoint(
        "model.pt", model.module, architecture="test_resnet-ga", classes=model.classes,
        preprocessing=model.preprocessing,
    )  # fmt: skip
    return ["explain", "--ckpt", "model.pt", "--images", "images", "--batch-size", "2"]


@pytest.mark.slow
def test_the_command_starts_a_cluster_of_its_own(images, monkeypatch):
    words = ready(images, monkeypatch)
    (images / "img_2.png").write_bytes(b"no image")
    assert main([*words, "--out", "whole"]) == 0
    before = signal.getsignal(signal.SIGTERM)
    assert main([*words, "--out", "run", "--engine", "ray", "--ray-workers", "2"]) == 0
    assert tables_of("run") == tables_of("whole")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_a_call_that_is_ended_says_by_what_and_goes_on(images, monkeypatch, capsys):
    words = ready(images, monkeypatch)
    words += ["--out", "run", "--engine", "ray", "--ray-workers", "1"]

    def once_it_has_a_cluster(*_args: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    with monkeypatch.context() as patch:
        patch.setattr(on_ray, "_run", once_it_has_a_cluster)
        assert main(words) == 143
    assert "Ended by SIGTERM" in capsys.readouterr().err
    assert main(words) == 0


def tables_of(name: str) -> dict[str, bytes]:
    from xattn.runs import RunFolder

    return tables(RunFolder.open(name))


class TestWithoutACluster:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch):
        monkeypatch.setattr(connect, "find_spec", lambda _name: object())

    def test_a_shard_of_a_shard(self, images):
        settings = ExplainSettings(shard="1/2")
        with pytest.raises(UsageError, match="--shard or --engine ray"):
            explain_on_ray(bright(), images, None, images.parent / "run", settings)

    def test_a_folder_that_holds_a_run(self, images):
        explain(bright(), images, out=images.parent / "run")
        settings = ExplainSettings(methods="layercam")
        with pytest.raises(RunError, match="without a run for --engine ray"):
            explain_on_ray(bright(), images, None, images.parent / "run", settings)

    def test_nothing_if_the_run_is_there_already(self, images):
        run = explain(bright(), images, out=images.parent / "run")
        again = explain_on_ray(bright(), images, None, images.parent / "run", ExplainSettings())
        assert tables(again) == tables(run)

    def test_to_begin_without_ray(self, images, monkeypatch):
        monkeypatch.setattr(connect, "find_spec", lambda _name: None)
        with pytest.raises(UsageError, match=r"pip install 'xattn\[ray\]'"):
            explain_on_ray(bright(), images, None, images.parent / "run", ExplainSettings())
        assert not (images.parent / "run").exists()
