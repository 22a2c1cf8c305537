"""Interventions that workers of a Ray cluster did are those of one process, to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

import xattn
from tests.analysis.painted import PATCH, SIDE, Sees, painted_run, sees
from tests.models.nets import wrapped
from xattn.analysis.feature_usage import feature_usage
from xattn.cli import main
from xattn.cluster import connect, workers
from xattn.errors import RunError, UsageError
from xattn.images.preprocessing import Preprocessing
from xattn.models import build, save_checkpoint
from xattn.runs import RunFolder
from xattn.runs.verify import verify
from xattn.settings.cluster import RaySettings

HOW = RaySettings(engine="ray", workers=2)
QUICK = {"permutations": 39, "bootstrap": 39, "interventions": 6, "given": "none"}


class Dies(Sees):
    """Ends the process of a worker that asks it, as a machine that is lost does."""

    def __init__(self, mark: Path, always: bool = False) -> None:
        super().__init__(PATCH, 40.0)
        self.mark, self.always, self.driver = mark, always, os.getpid()

    def forward(self, x: Tensor) -> Tensor:
        if os.getpid() != self.driver and len(x) > 16 and (self.always or not self.mark.exists()):
            self.mark.touch()
            os._exit(1)
        return super().forward(x)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return painted_run(tmp_path_factory.mktemp("images") / "root", n=24)


def tables(run: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.path.glob("*.csv"))}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets
class TestOnACluster:
    def test_tables_are_those_of_one_process_though_a_worker_is_lost_in_the_middle(
        self, cluster, made
    ):
        whole = feature_usage(made.run, made.annotations, model=sees(PATCH), **QUICK)
        alone = tables(made.run)
        assert len(whole.interventions) > 4
        assert len(whole.doses) > 4
        plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
        mark = made.run.path.parent / "died"
        model = xattn.wrap(Dies(mark), classes=["benign", "malignant"], preprocessing=plain)
        feature_usage(made.run, made.annotations, model=model, engine=HOW, **QUICK)
        assert mark.exists()
        assert tables(made.run) == alone

    def test_an_edit_that_kills_every_worker_ends_the_call_and_says_so(
        self, cluster, made, monkeypatch
    ):
        monkeypatch.setattr(workers, "TRIES", 0)
        plain = Preprocessing(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1))
        dies = Dies(made.run.path.parent / "always", always=True)
        model = xattn.wrap(dies, classes=["benign", "malignant"], preprocessing=plain)
        with pytest.raises(RunError, match=r"a worker to do .* of .*, but its worker died 1 times"):
            feature_usage(made.run, made.annotations, model=model, engine=HOW, **QUICK)

    def test_the_command_explains_and_edits_there_and_leaves_the_files_of_one_process(
        self, cluster, made, monkeypatch
    ):
        root = made.run.path.parent
        monkeypatch.chdir(root)
        torch.manual_seed(0)
        model = wrapped(build("test_resnet-ga", 2).eval(), (SIDE, SIDE))
        save_checkpoint(
            "model.pt", model.module, architecture="test_resnet-ga", classes=model.classes,
            preprocessing=model.preprocessing,
        )  # fmt: skip
        words = ["feature-usage", "--ckpt", "model.pt", "--images", "images", "--annotations"]
        words += [str(made.annotations.path), "--permutations", "19", "--bootstrap", "99"]
        words += ["--interventions", "6", "--given", "none", "--batch-size", "4"]
        assert main([*words, "--run", "alone"]) == 0
        assert main([*words, "--run", "spread", "--engine", "ray", "--ray-workers", "2"]) == 0
        alone, spread = RunFolder.open("alone"), RunFolder.open("spread")
        assert tables(spread) == tables(alone)
        assert verify(spread.path).whole
        for name in ("predictions.parquet", "features.parquet", "mask_scores.parquet"):
            assert (spread.path / name).read_bytes() == (alone.path / name).read_bytes(), name
        again = ["feature-usage", "--annotations", str(made.annotations.path), "--run", "spread"]
        again += words[words.index("--permutations") : -2]
        assert main([*again, "--engine", "ray"]) == 0  # by the run's own checkpoint
        assert tables(spread) == tables(alone)


def test_several_checkpoints_are_refused_for_nothing_is_edited(made, capsys):
    words = ["feature-usage", "--ckpt", "a.pt", "--ckpt", "b.pt", "--engine", "ray"]
    assert main([*words, "--annotations", str(made.annotations.path)]) == 2
    assert "Expected --engine ray with one checkpoint" in capsys.readouterr().err


def test_without_ray_nothing_is_begun(made, monkeypatch):
    monkeypatch.setattr(connect, "find_spec", lambda _name: None)
    before = tables(made.run)
    with pytest.raises(UsageError, match=r"pip install 'xattn\[ray\]'"):
        feature_usage(made.run, made.annotations, model=sees(PATCH), engine=HOW, **QUICK)
    assert tables(made.run) == before
