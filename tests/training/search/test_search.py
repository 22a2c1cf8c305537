from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest

from tests import forked
from tests.training import searched
from tests.training.recipes import tiny_recipe
from xattn.errors import RunError, UsageError, XattnError
from xattn.runs.atomic import read_record
from xattn.runs.locks import try_hold
from xattn.training.fit import train
from xattn.training.recipe import Recipe, parse_recipe, read_recipe
from xattn.training.search.search import search
from xattn.training.search.trials import Trial, importances_of
from xattn.training.search_table import Axis

B, M = "benign", "malignant"
SPACE = {
    "train.lr": {"low": 1e-4, "high": 1.0, "log": True},
    "train.augment": ["none", "dermoscopy"],
    "model.options.width": {"low": 2, "high": 8},
}


def searched_recipe(space: object = SPACE, epochs: int = 3, **settings: object) -> Recipe:
    tables = tiny_recipe(epochs=epochs).model_dump(exclude={"search"})
    return parse_recipe({**tables, "search": {"space": space, "trials": 7, **settings}}, "test")


def run(annotations: Path, out: Path, recipe: Recipe | None = None, **options):
    options = {"seed": 3, "progress": False, "device": "cpu", **options}
    return search(recipe or searched_recipe(), annotations, out, **options)


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "trials.csv", keep_default_na=False)


def assert_same(a: Path, b: Path) -> None:
    """Two searches came to the same, but for the time it took."""
    pd.testing.assert_frame_equal(
        table(a).drop(columns="seconds"), table(b).drop(columns="seconds")
    )
    assert filecmp.cmp(a / "best.toml", b / "best.toml", shallow=False)
    one, other = (json.loads((out / "search.json").read_text()) for out in (a, b))
    assert one == other
    assert {p.relative_to(a) for p in a.rglob("*.*")} == {p.relative_to(b) for p in b.rglob("*.*")}


def stop_at(step: int):
    """Return a progress function that ends everything at the n-th batch of the search."""
    seen = 0

    def progress(stage: str, _done: int, _total: int) -> None:
        nonlocal seen
        seen += stage == "train"
        if seen == step:
            raise KeyboardInterrupt

    return progress


def test_a_search_leaves_its_trials_and_a_recipe_that_trains(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    told: list[int] = []
    result = run(notes, out, on_trial=lambda trial: told.append(trial.number))

    assert told == list(range(7))
    assert [trial.number for trial in result.trials] == told
    assert {p.name for p in out.iterdir() if p.name[0] != "."} == {
        "study.journal", "trials.csv", "best.toml", "search.json", "trials",
    }  # fmt: skip
    rows = table(out)
    assert list(rows.columns) == [
        "trial", "state", "value", *SPACE, "best_epoch", "epochs", "seconds", "error",
    ]  # fmt: skip
    assert rows["train.lr"].between(1e-4, 1).all()
    assert rows["train.lr"].nunique() == 7
    assert set(rows["train.augment"]) <= {"none", "dermoscopy"}
    best = read_recipe(result.recipe)
    assert best.search is None
    assert best.train.lr == result.best.values["train.lr"]
    assert best.model.options == {"width": result.best.values["model.options.width"]}
    # A trial is a training: the best recipe gives its weights again.
    again = train(best, notes, tmp_path / "again", progress=False, device="cpu")
    assert again.best.val_balanced_accuracy == result.best.value == rows["value"].max()
    trial = out / "trials" / f"{result.best.number:04d}"
    assert filecmp.cmp(trial / "history.csv", again.out / "history.csv", shallow=False)
    assert (trial / "model.pt").is_file()
    assert len(list(out.rglob("model.pt"))) == 1


def test_the_test_images_are_not_looked_at(study, tmp_path: Path):
    run(study([B, M] * 20), tmp_path / "out", trials=1)
    trial = tmp_path / "out" / "trials" / "0000"
    assert read_record(trial / "train.json")["test"] is None
    assert set(pd.read_parquet(trial / "predictions.parquet")["split"]) == {"val"}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_that_is_cut_off_comes_to_the_same_end(study, tmp_path: Path, sampler: str):
    notes = study([B, M] * 20)
    recipe = searched_recipe(sampler=sampler, trials=10)
    run(notes, tmp_path / "whole", recipe)
    for step in (1, 8, 20, 9):  # before the first epoch, between epochs, in later trials
        with pytest.raises(KeyboardInterrupt):
            run(notes, tmp_path / "parts", recipe, progress=stop_at(step))
    run(notes, tmp_path / "parts", recipe)
    assert_same(tmp_path / "parts", tmp_path / "whole")
    assert table(tmp_path / "whole")["state"].eq("pruned").any()


@pytest.mark.slow
def test_a_search_whose_processes_are_killed_comes_to_the_same_end(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole")
    (tmp_path / "recipe.toml").write_text(searched_recipe().to_toml())
    words = [tmp_path / "recipe.toml", notes, tmp_path / "parts", "train"]
    for step in ("5", "21"):
        process = forked.start(searched.main, *words, step, folder=tmp_path)
        process.join()
        assert process.exitcode == -9, forked.said(tmp_path)
    run(notes, tmp_path / "parts")
    assert_same(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_share_the_trials_and_double_none(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    recipe = searched_recipe(pruner="none")
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    words = [tmp_path / "recipe.toml", notes, out]
    both = [
        forked.start(searched.main, *words, folder=tmp_path, name=name) for name in ("one", "two")
    ]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]

    rows = table(out)
    assert rows["trial"].tolist() == list(range(7))
    assert set(rows["state"]) == {"complete"}
    assert rows["train.lr"].nunique() == 7
    for trial in (out / "trials").iterdir():  # no two trainings in one folder
        assert read_record(trial / "train.json")["resumed_after"] == []


def test_a_trial_that_another_process_runs_is_left_to_it(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(notes, out, progress=stop_at(4))
    with try_hold(out / ".locks" / "0000"):
        result = run(notes, out, trials=3)
    assert [trial.state for trial in result.trials] == ["running", "complete", "complete"]
    assert run(notes, out, trials=3).trials[0].state == "complete"


def test_a_training_that_had_ended_when_its_process_died_is_not_repeated(
    study, tmp_path: Path, monkeypatch
):
    notes, out = study([B, M] * 20), tmp_path / "out"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xattn.training.search.shared_study.SharedStudy.finish", die)
        with pytest.raises(KeyboardInterrupt):
            run(notes, out, trials=1)
    before = (out / "trials" / "0000" / "train.json").stat().st_mtime_ns
    result = run(notes, out, trials=1)
    assert result.best.number == 0
    assert (out / "trials" / "0000" / "train.json").stat().st_mtime_ns == before


def test_more_trials_go_on_where_fewer_ended(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole")
    assert len(run(notes, tmp_path / "parts", trials=2).trials) == 2
    assert len(run(notes, tmp_path / "parts", trials=1).trials) == 2
    run(notes, tmp_path / "parts", trials=7)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_time_that_is_up_ends_after_an_epoch_and_loses_nothing(study, tmp_path: Path):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "whole", trials=2)
    first = run(notes, tmp_path / "parts", trials=2, timeout=1e-9)
    assert (first.trials, first.best, first.recipe) == ((), None, None)
    second = run(notes, tmp_path / "parts", trials=2, timeout=0.2)
    assert second.trials[0].state in ("running", "complete")
    run(notes, tmp_path / "parts", trials=2)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_trials_that_fail_are_told_and_the_others_go_on(study, tmp_path: Path):
    told: list[object] = []
    space = {"train.lr": [0.01, 1e30], "train.clip": [0.0]}
    recipe = searched_recipe(space, trials=6, sampler="random")
    result = run(study([B, M] * 20), tmp_path / "out", recipe, on_problem=told.append)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert {trial.values["train.lr"] for trial in failed} == {1e30}
    assert all("Expected a finite loss" in trial.error for trial in failed)
    assert len(told) == len(failed) < 6
    assert result.best.values["train.lr"] == 0.01

    recipe = searched_recipe({"train.lr": [1e30], "train.clip": [0.0]}, trials=2)
    notes = study([B, M] * 20, name="other")
    with pytest.raises(XattnError, match="all 2 failed; the first: Expected a finite loss"):
        run(notes, tmp_path / "out 2", recipe)


def test_images_are_decoded_once_for_every_size(study, tmp_path: Path):
    told: list[tuple[str, int]] = []
    recipe = searched_recipe({"data.size": [16, 20], "train.lr": [0.01]}, trials=5)
    result = run(
        study([B, M] * 20),
        tmp_path / "out",
        recipe,
        progress=lambda stage, done, _: told.append((stage, done)),
    )
    sizes = {trial.values["data.size"] for trial in result.trials} | {16}
    assert told.count(("decode", 40)) == len(sizes)


def test_other_arguments_do_not_join_a_search(study, tmp_path: Path):
    notes, out = study([B, M] * 20), tmp_path / "out"
    run(notes, out, trials=1)
    with pytest.raises(RunError, match=r"another recipe\.train\.epochs \(3 then, 2 now\)"):
        run(notes, out, epochs=2)
    lower = searched_recipe({**SPACE, "train.lr": {"low": 1e-5, "high": 1.0, "log": True}})
    with pytest.raises(RunError, match=r"another search\.space\.train\.lr\.low"):
        run(notes, out, lower)
    with pytest.raises(RunError, match="another seed"):
        run(notes, out, seed=4)
    with pytest.raises(RunError, match="another images_sha256"):
        run(notes, out, images=[notes.parent / "images" / f"img{i:03d}.png" for i in range(36)])


def test_a_recipe_without_a_search_or_a_foreign_folder_is_refused(study, tmp_path: Path):
    notes = study([B, M] * 20)
    with pytest.raises(UsageError, match=r"\[search\] table, but it has none"):
        run(notes, tmp_path / "out", tiny_recipe())
    with pytest.raises(RunError, match="holds other files"):
        run(notes, notes.parent)
    with pytest.raises(RunError, match="but got the file"):
        run(notes, notes)


def test_what_a_kill_left_half_in_the_journal_is_mended(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole", trials=3)
    run(notes, tmp_path / "parts", trials=2)
    with (tmp_path / "parts" / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id":"' + b"x" * 5000)
    run(notes, tmp_path / "parts", trials=3)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_the_search_library_is_left_as_it_was(study, tmp_path: Path, capfd):
    before = optuna.logging.get_verbosity()
    run(study([B, M] * 20), tmp_path / "out", trials=1)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_a_copied_search_is_the_same_search(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    run(notes, tmp_path / "whole", trials=3)
    run(notes, tmp_path / "first", trials=2)
    shutil.copytree(tmp_path / "first", tmp_path / "parts")
    run(notes, tmp_path / "parts", trials=3)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def test_the_importance_of_choices_is_that_of_choices_even_if_they_are_numbers():
    space = {"train.clip": Axis(choices=(1.0, 2.0))}
    trials = [Trial(i, "complete", i % 2 + i / 99, {"train.clip": 1.0 + i % 2}) for i in range(12)]
    (one,) = importances_of(trials, space)
    assert one.share > one.chance
    pruned = [*trials, Trial(12, "pruned", 9.0, {"train.clip": 1.0})]
    assert importances_of(pruned, space) == [one]
