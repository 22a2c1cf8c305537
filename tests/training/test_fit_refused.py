"""Trainings that cannot be, fail or are broken off: told, and nothing left half done."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.fitted import B, M, run
from tests.training.recipes import tiny_recipe
from xattn.errors import RunError, UsageError, XattnError
from xattn.models import load
from xattn.runs.atomic import read_record
from xattn.training.fit import train


def test_images_that_cannot_be_used_are_told_and_the_others_go_on(study, tmp_path: Path):
    path = study([B, M] * 20 + [None])
    (path.parent / "images" / "img003.png").write_bytes(b"no image")
    content = json.loads(path.read_text())
    content["images"].append({"id": "gone", "file": "gone.png", "label": B})
    path.write_text(json.dumps(content))
    told: list[str] = []
    result = run(path, tmp_path / "out", on_problem=lambda problem: told.append(str(problem)))

    assert len(told) == len(result.skipped) == 3
    table = pd.read_csv(tmp_path / "out" / "errors.csv")
    assert set(table["stage"]) == {"annotation", "label", "decode"}
    assert "study/images/img003.png" in set(table["file"])
    splits = pd.read_csv(tmp_path / "out" / "splits.csv")
    assert len(splits) == 39
    assert read_record(tmp_path / "out" / "train.json")["skipped"] == 3


def test_splits_of_other_images_are_refused(study, tmp_path: Path):
    (tmp_path / "mine.csv").write_text("image_id,split\nother,train\n")
    with pytest.raises(XattnError, match="share no id: img000 here, other there"):
        run(study([B, M] * 20), tmp_path / "out", splits=tmp_path / "mine.csv")


def test_leaking_splits_are_refused(study, tmp_path: Path):
    notes = study([B, M] * 20, groups=[f"g{i // 4}" for i in range(40)])
    rows = [f"img{i:03d},{('train', 'val', 'test')[i // 2 % 3]}" for i in range(40)]
    (tmp_path / "mine.csv").write_text("image_id,split\n" + "\n".join(rows))
    with pytest.raises(XattnError, match="group g0 is in two"):
        run(notes, tmp_path / "out", splits=tmp_path / "mine.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "groups", "said"),
    [
        ([B] * 20, None, "none of malignant"),
        ([None] * 4, None, "none of 4 has one"),
        # All malignant images are of one patient, who can be on one side only.
        ([B] * 20 + [M] * 6, [None] * 20 + ["p"] * 6, "'val', but got none of malignant"),
    ],
)
def test_data_that_cannot_be_trained_on_leave_no_folder(study, tmp_path, labels, groups, said):
    with pytest.raises(XattnError, match=said):
        run(study(labels, groups=groups), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_architecture_is_told_before_any_image_is_read(study, tmp_path: Path):
    told: list[object] = []
    with pytest.raises(UsageError, match="Unknown architecture"):
        train(
            tiny_recipe(architecture="resnet_18"),
            study([B, M] * 5),
            tmp_path / "out",
            progress=lambda *what: told.append(what),
        )
    assert told == []


def test_a_training_that_diverges_says_so_and_leaves_whole_files(study, tmp_path: Path):
    recipe = tiny_recipe(lr=1e30, clip=0.0, warmup=0.0, augment="none")
    with pytest.raises(XattnError, match=r"Expected a finite loss, but got \w+ in epoch 1, .*`lr`"):
        run(study([B, M] * 20), tmp_path / "out", recipe=recipe)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "splits.csv", "splits_alike.csv", "recipe.toml", "errors.csv",
    }  # fmt: skip


def test_a_finished_training_is_never_overwritten(study, tmp_path: Path):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "out")
    before = (tmp_path / "out" / "model.pt").read_bytes()
    with pytest.raises(RunError, match="name another folder with --out"):
        run(notes, tmp_path / "out", seed=3)
    assert (tmp_path / "out" / "model.pt").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="but got the file"):
        run(notes, tmp_path / "file")


def test_an_interrupted_training_leaves_whole_files(study, tmp_path: Path):
    notes = study([B, M] * 20)
    out = tmp_path / "out"
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(notes, out, epochs=3, on_epoch=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (out / "train.json").exists()
    assert not [path for path in out.iterdir() if path.suffix == ".part"]
    assert load(out / "model.pt").classes == [B, M]
    assert len(pd.read_csv(out / "history.csv")) == 2


class GiveUpError(Exception):
    """What a search raises to give a training up."""


def test_what_on_epoch_raises_ends_the_training(study, tmp_path: Path):
    def give_up(epoch):
        raise GiveUpError

    with pytest.raises(GiveUpError):
        run(study([B, M] * 20), tmp_path / "out", on_epoch=give_up)


def test_a_device_that_is_not_there_is_told(study, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="mps"):
        run(study([B, M]), tmp_path / "out", device="mps")
    with pytest.raises(UsageError, match="Unknown device 'gpu'"):
        run(study([B, M], name="other"), tmp_path / "out", device="gpu")


def test_what_a_device_cannot_do_is_told_before_anything_is_read(study, tmp_path: Path):
    with pytest.raises(UsageError, match='cuda device for precision = "16", but got cpu'):
        run(tmp_path / "none", tmp_path / "out", recipe=tiny_recipe(precision="16"), device="cpu")


def state_of_the_process() -> dict[str, object]:
    numpy_state = np.random.get_state()  # noqa: NPY002 -- what users' code may rely on
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy_state[1].tolist(), numpy_state[2]),
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "filters": list(warnings.filters),
        "environment": dict(os.environ),
        "levels": [logging.getLogger(f"lightning.{n}").level for n in ("pytorch", "fabric")],
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "hook": sys.excepthook,
    }


@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_the_process_is_left_as_it_was(study, tmp_path: Path, monkeypatch, capfd, lr: float):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    notes = study([B, M] * 20)
    recipe = tiny_recipe(lr=lr, clip=0.0, warmup=0.0)
    before = state_of_the_process()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        during = list(warnings.filters)
        try:
            train(recipe, notes, tmp_path / "out")  # a bar only on a terminal, which this is not
        except XattnError:
            assert lr > 1
        assert list(warnings.filters) == during

    assert state_of_the_process() == before
    assert [str(warning.message) for warning in told] == []
    assert capfd.readouterr() == ("", "")
    assert list(here.iterdir()) == []
