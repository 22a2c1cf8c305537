from __future__ import annotations

import filecmp
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import forked
from tests.training import killed
from tests.training.recipes import resumed_recipe
from xattn.errors import RunError
from xattn.models import load
from xattn.runs.atomic import read_record
from xattn.training.fit import train
from xattn.training.resume import Bookmark

B, M = "benign", "malignant"
# All that a training writes and that does not tell the time.
FILES = (
    "model.pt", "history.csv", "splits.csv", "splits_alike.csv",
    "recipe.toml", "errors.csv", "predictions.parquet",
)  # fmt: skip


class Stop(Exception):  # noqa: N818 -- it is no error
    """What ends a training from outside."""


def run(annotations: Path, out: Path, recipe=None, **options):
    return train(recipe or resumed_recipe(), annotations, out, progress=False, **options)


def stop_after(epoch: int) -> Callable[[object], None]:
    def on_epoch(one) -> None:
        if one.epoch == epoch:
            raise Stop

    return on_epoch


def record(out: Path) -> dict[str, object]:
    """Return train.json without what a kill may change: clocks, and that there was one."""
    facts = read_record(out / "train.json")
    return {k: v for k, v in facts.items() if k not in ("timings", "resumed_after")}


def assert_same(a: Path, b: Path) -> None:
    for name in FILES:
        assert filecmp.cmp(a / name, b / name, shallow=False), name
    assert record(a) == record(b)
    assert {p.name for p in a.iterdir()} == {p.name for p in b.iterdir()} == {*FILES, "train.json"}


@pytest.mark.parametrize("stops", [[1], [4], [5], [1, 2, 3]])
def test_a_training_that_is_ended_goes_on_and_comes_to_the_same_end(study, tmp_path, stops):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole")
    for epoch in stops:
        with pytest.raises(Stop):
            run(notes, tmp_path / "parts", on_epoch=stop_after(epoch))
    told: list[int] = []
    run(notes, tmp_path / "parts", on_epoch=lambda epoch: told.append(epoch.epoch))

    assert told == list(range(stops[-1] + 1, 6))
    assert_same(tmp_path / "parts", tmp_path / "whole")
    facts = read_record(tmp_path / "parts" / "train.json")
    assert facts["resumed_after"] == stops
    assert len(facts["timings"]["epoch_seconds"]) == 5


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_kept_epochs_are_those_of_a_training_without_a_break(study, tmp_path, stop):
    notes, recipe = study([B, M] * 20, telling=False), resumed_recipe(keep_every=2)
    run(notes, tmp_path / "whole", recipe)
    with pytest.raises(Stop):
        run(notes, tmp_path / "parts", recipe, on_epoch=stop_after(stop))
    run(notes, tmp_path / "parts", recipe)
    kept = sorted((tmp_path / "whole" / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["epoch_0002.pt", "epoch_0004.pt"]
    for path in kept:
        assert filecmp.cmp(path, tmp_path / "parts" / "checkpoints" / path.name, shallow=False)
        assert load(path).source["extra"]["best"]["epoch"] == int(path.stem[-4:])
    assert kept[0].read_bytes() != kept[1].read_bytes()


def test_keeping_epochs_changes_nothing_else(study, tmp_path):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "plain")
    run(notes, tmp_path / "kept", resumed_recipe(keep_every=1))
    assert len(list((tmp_path / "kept" / "checkpoints").iterdir())) == 5
    for name in ("history.csv", "predictions.parquet", "splits.csv"):
        assert filecmp.cmp(tmp_path / "plain" / name, tmp_path / "kept" / name, shallow=False)
    assert not (tmp_path / "plain" / "checkpoints").exists()


def test_epochs_kept_by_a_training_that_was_given_up_are_removed(study, tmp_path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints" / "epoch_0009.pt").write_bytes(b"old")
    run(notes, out, resumed_recipe(epochs=1, keep_every=1))
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["epoch_0001.pt"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "at"),
    [("decode", 30), ("train", 2), ("train", 8), ("train", 14)],  # three batches an epoch
)
def test_a_killed_process_leaves_what_another_needs_to_end_the_same(study, tmp_path, stage, at):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole", device="cpu")
    (tmp_path / "recipe.toml").write_text(resumed_recipe().to_toml())
    words = [tmp_path / "recipe.toml", notes, tmp_path / "parts", stage, str(at)]
    process = forked.start(killed.main, *words, folder=tmp_path)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "parts" / "train.json").exists()

    run(notes, tmp_path / "parts", device="cpu")
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_a_kill_between_the_checkpoint_and_the_state_does_no_harm(study, tmp_path, monkeypatch):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "whole")
    with pytest.raises(Stop):
        run(notes, tmp_path / "parts", on_epoch=stop_after(1))
    with monkeypatch.context() as patch:
        patch.setattr("xattn.training.history.EpochRecorder._write_state", lambda *_: None)
        with pytest.raises(Stop):  # model.pt and history.csv of an epoch that no state knows of
            run(notes, tmp_path / "parts", on_epoch=stop_after(2))
    run(notes, tmp_path / "parts")
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_patience_counts_on_across_the_break(study, tmp_path: Path, monkeypatch):
    # On images of no meaning the accuracy is held at chance by hand: it stalls from epoch 2 on.
    monkeypatch.setattr("xattn.training.module.sensitivities", lambda *_: np.full((1, 2), 0.5))
    notes = study([B, M] * 20)
    recipe = resumed_recipe(epochs=9, patience=3)
    for epoch in (2, 4):  # after the fourth all that is left to do is to stop
        with pytest.raises(Stop):
            run(notes, tmp_path / "out", recipe, on_epoch=stop_after(epoch))
    assert len(run(notes, tmp_path / "out", recipe).history) == 4


def test_other_arguments_do_not_go_on_with_an_unfinished_training(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    with pytest.raises(Stop):
        run(notes, out, on_epoch=stop_after(1))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    with pytest.raises(RunError, match=r"another recipe\.train\.lr \(0\.01 then, 0\.02 now\)"):
        run(notes, out, resumed_recipe(lr=0.02))
    with pytest.raises(RunError, match=r"another recipe\.train\.seed \(0 then, 3 now\)"):
        run(notes, out, seed=3)
    with pytest.raises(RunError, match=r"another images .*delete \S+\.progress to begin anew"):
        run(notes, out, images=[notes.parent / "images" / f"img{i:03d}.png" for i in range(38)])
    other = study([M, B] * 20, name="other")
    with pytest.raises(RunError, match="another annotations"):
        run(other, out)

    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert len(run(notes, out).history) == 5  # the way that the messages name


def test_without_a_finished_epoch_there_is_nothing_to_go_on_with(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"

    def stop(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("train", 2):
            raise Stop

    with pytest.raises(Stop):
        train(resumed_recipe(), notes, out, progress=stop)
    assert not (out / ".progress").exists()
    assert len(run(notes, out, resumed_recipe(epochs=1), seed=5).history) == 1


def test_the_state_is_no_pickle_that_could_run_code(study, tmp_path: Path):
    with pytest.raises(Stop):
        run(study([B, M] * 20), tmp_path / "out", on_epoch=stop_after(1))
    assert torch.load(Bookmark(tmp_path / "out").state, weights_only=True)["epoch"] == 0


def test_a_damaged_bookmark_names_the_way_out(tmp_path: Path):
    bookmark = Bookmark(tmp_path)
    bookmark.begin(seed=1)
    bookmark.check(seed=2)  # no epoch was finished yet
    bookmark.state.write_bytes(b"")
    bookmark.check(seed=1)
    (tmp_path / ".progress" / "arguments.json").write_text("{")
    with pytest.raises(RunError, match=r"delete \S+\.progress to begin anew"):
        bookmark.check(seed=1)
    bookmark.clear()
    assert not bookmark.pending
