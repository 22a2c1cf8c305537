"""What a message says to repeat is a command that works as it stands, wherever one is."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich_click as click

from tests.fabricate import fabricate_run
from xattn.analysis.settings import (
    CompareSettings,
    EvaluateInputs,
    EvaluateSettings,
    FaithfulnessSettings,
    OverTrainingSettings,
    UsageInputs,
    UsageSettings,
)
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.cli import app
from xattn.cli.from_settings import taken
from xattn.runs import TABLES
from xattn.runs.again import (
    command,
    record_again,
    run_again,
    study_again,
    table_again,
    training_again,
)
from xattn.runs.atomic import read_record, write_json
from xattn.runs.calls import record_call
from xattn.runs.record import begin_record
from xattn.runs.tables import records
from xattn.settings import Settings
from xattn.settings.load import LoadSettings

FILES = ("a b.json", "model.pt", "more.csv", "study.toml", "images")


def parsed(words: list[str]) -> click.Context:
    """Parse a command as the command line does; anything it does not take is an error."""
    assert words[0] == "xattn"
    return app.commands[words[1]].make_context(words[1], words[2:])


def commands_in(text: str) -> list[list[str]]:
    found = [shlex.split(one) for one in re.findall(r"`(xattn [^`]*)`", text)]
    assert found, text
    return found


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with a run that has no record of a call, and files beside it."""
    fabricate_run(tmp_path / "here", np.zeros((2, 2)), {})
    for name in FILES[:-1]:
        (tmp_path / "here" / name).write_text("")
    return tmp_path / "here"


INPUTS: dict[type[Settings], dict[str, Any]] = {
    UsageInputs: {"annotations": "a b.json"},
    EvaluateInputs: {"annotations": "a b.json", "images": ["images"]},
    ExplainInputs: {"annotations": "a b.json", "images": ["images"]},
}
SETTINGS: dict[type[Settings], dict[str, Any]] = {
    UsageSettings: {"positive": ["benign"], "detect": True, "more_features": "more.csv", "seed": 3},
    EvaluateSettings: {"trap": ["ruler", "hair"], "seed": 2},
    ExplainSettings: {"methods": ["gradcam", "layercam@benign"], "overlay": "none"},
    OverTrainingSettings: {"alpha": 0.1, "more_features": "more.csv"},
    CompareSettings: {"alpha": 0.1, "metric": ["auc"]},
    FaithfulnessSettings: {"images": 8},
}


def made(root: Path, kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Return settings whose files lie in `root`."""

    def here(value: Any) -> Any:
        if isinstance(value, list):
            return [here(one) for one in value]
        return str(root / value) if value in FILES else value

    return kind(**{name: here(value) for name, value in values.items()})


CALLS = {
    "run.json": ("explain", ExplainInputs, ExplainSettings, True),
    "analysis.json": ("feature-usage", UsageInputs, UsageSettings, False),
    "evaluation.json": ("evaluate", EvaluateInputs, EvaluateSettings, True),
    "usage_over_training.json": ("feature-usage", ExplainInputs, OverTrainingSettings, True),
    "comparison.json": ("compare", None, CompareSettings, False),
    "faithfulness.json": ("faithfulness", None, FaithfulnessSettings, False),
}


def call_of(root: Path, name: str) -> dict[str, Any]:
    called, inputs, settings, loads = CALLS[name]
    model = {
        "checkpoint": ["model.pt"], "options": {}, "in_python": [],
        "words": LoadSettings(classes=("a", "b"), size=(48, 56)).marked_words(root),
    }  # fmt: skip
    parts = {"settings": made(root, settings, SETTINGS[settings])}
    if inputs is not None:
        parts = {"inputs": made(root, inputs, INPUTS[inputs]), **parts}
    arguments = [("one=", root / "run"), root / "images"] if called == "compare" else ()
    return record_call(called, root, model if loads else None, arguments, **parts)


def with_calls(root: Path) -> Path:
    """Write all records, each with its call, into the run folder."""
    run = root / "run"
    for name in CALLS:
        if name != "run.json":
            begin_record(run / name, call_of(root, name))
    facts = read_record(run / "run.json")
    write_json(run / "run.json", {**facts, "calls": [call_of(root, "run.json")]})
    return run


PLACES = {
    "beside it": lambda root: (root, Path("run")),
    "within it": lambda root: (root / "run", Path("../run")),
    "elsewhere": lambda root: (root.parent, Path("here/run")),
    "by its whole path": lambda root: (Path("/"), root / "run"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", CALLS)
def test_a_recorded_call_is_repeated_with_all_that_was_said(name, place, root, monkeypatch):
    with_calls(root)
    where, folder = PLACES[place](root)
    monkeypatch.chdir(where)
    advice = run_again(folder) if name == "run.json" else record_again(folder, name)
    ((_, called, *words),) = commands_in(advice)
    found = parsed(["xattn", called, *words]).params
    own, inputs, settings, loads = CALLS[name]
    assert called == ("explain" if own == "faithfulness" else own)
    assert Path(found["run" if called == "feature-usage" else "out"]).samefile(root / "run")
    if loads:
        assert [Path(one).samefile(root / "model.pt") for one in found["ckpt"]] == [True]
        assert taken(LoadSettings, found).size == (48, 56)
    if inputs is not None:
        assert Path(taken(inputs, found).annotations).samefile(root / "a b.json")
    if own == "faithfulness":
        assert found["evaluate"]
    for key, value in SETTINGS[settings].items():
        said = getattr(taken(settings, found), key)
        if value in ("more.csv",):
            assert Path(said).samefile(root / "more.csv")
        else:
            assert said == (tuple(value) if isinstance(value, list) else value)
    if own == "compare":
        named, plain = found["runs"]
        assert named.startswith("one=")
        assert Path(named.removeprefix("one=")).samefile(root / "run")
        assert os.path.normpath(where / plain) == str(root / "images")


@pytest.mark.parametrize("name", [*records(), "run.json"])
def test_without_a_call_the_folder_and_what_is_known_of_it_are_filled_in(name, root, monkeypatch):
    monkeypatch.chdir(root)
    facts = read_record(root / "run" / "run.json")
    call = {"command": "explain", "inputs": {"annotations": "a b.json"}}
    write_json(root / "run" / "run.json", {**facts, "checkpoint_file": "model.pt", "calls": [call]})
    folder = Path("run")
    advice = run_again(folder) if name == "run.json" else record_again(folder, name)
    for words in commands_in(advice):
        found = parsed(words).params
        place = found.get("run") or found["out"]
        assert Path(place) == (folder.parent if name == "claims.json" else folder)
        if "annotations" in found and "explain" not in words:
            assert found["annotations"] == Path("a b.json")


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_that_is_not_there_is_written_by_a_command_that_names_the_folder(name, root):
    folder = root / "my run"
    advice = table_again(folder, name)
    if not TABLES[name].source:
        assert advice == "`xattn`"
        return
    ((_, *words),) = commands_in(advice)
    assert words[0] in app.commands
    if TABLES[name].source.record and name != "claims":
        assert str(folder) in words
        parsed(["xattn", *words])


def test_several_calls_of_a_run_are_repeated_one_after_the_other_each_once(root):
    run = with_calls(root)
    facts = read_record(run / "run.json")
    other = record_call(
        "explain", root, facts["calls"][0]["model"], inputs=ExplainInputs(images=[root / "images"])
    )
    write_json(run / "run.json", {**facts, "calls": [*facts["calls"], other, other]})
    assert [words.count("--method") for words in commands_in(run_again(run))] == [2, 0]
    (last,) = commands_in(run_again(run, last=True, more=("--method", "layercam")))
    assert last.count("--method") == 1


@pytest.mark.parametrize("kept", [True, False], ids=["recorded", "not recorded"])
def test_a_training_is_repeated_from_its_own_recipe_in_another_folder(kept, root, monkeypatch):
    monkeypatch.chdir(root)
    (root / "net").mkdir()
    if kept:
        (root / "net" / "recipe.toml").write_text("")
        write_json(root / "net" / "train.json", {"annotations": "a b.json"})
    ((_, *words),) = commands_in(training_again(Path("net")))
    found = parsed(["xattn", *words]).params
    assert found["out"] == Path("net-again")
    assert found["recipe"] == (Path("net/recipe.toml") if kept else Path("RECIPE"))
    assert found["annotations"] == Path("a b.json" if kept else "isic_attributes.json")


@pytest.mark.parametrize("kept", [True, False], ids=["recorded", "not recorded"])
def test_a_study_is_gone_on_with_by_its_recipe(kept, root, monkeypatch):
    monkeypatch.chdir(root)
    (root / "study").mkdir()
    if kept:
        call = record_call(
            "study", root, arguments=[root / "study.toml", "--data", root / "a b.json"]
        )
        write_json(root / "study" / "study.json", {"call": call})
    ((_, *words),) = commands_in(study_again(Path("study"), "--redo"))
    found = parsed(["xattn", *words]).params
    assert (found["out"], found["redo"]) == (Path("study"), True)
    assert found["recipe"] == Path("study.toml" if kept else "RECIPE")
    assert found["data"] == (Path("a b.json") if kept else None)


def test_a_record_that_is_damaged_does_not_keep_a_message_from_being_told(root):
    run = with_calls(root)
    for path in run.glob("*.json"):
        path.write_text("{")
    for name in records():
        commands_in(record_again(run, name))
    commands_in(run_again(run))


def test_images_that_were_named_one_by_one_are_no_command(root):
    many = ExplainInputs(images=[root / f"{i}.png" for i in range(101)])
    facts = read_record(root / "run" / "run.json")
    call = record_call("explain", root, inputs=many, settings=ExplainSettings())
    write_json(root / "run" / "run.json", {**facts, "calls": [call]})
    assert run_again(root / "run") == command(
        "xattn", "explain", "--ckpt", "model.pt", "--images", "dir/", "--out", root / "run"
    )


def test_a_page_names_what_lies_beside_the_run(root):
    advice = record_again(with_calls(root), "analysis.json", here=False)
    assert "--annotations 'a b.json'" in advice
    assert advice.endswith("--run run`")
