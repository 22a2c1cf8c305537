"""Settings are declared once; options, defaults, records and words follow."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import xattn
from xattn.analysis.faithfulness.measure import faithfulness
from xattn.analysis.settings import FaithfulnessSettings
from xattn.attribution.run.settings import ExplainInputs
from xattn.cli import app
from xattn.cli.from_settings import options_of, taken
from xattn.errors import UsageError
from xattn.figures.page.settings import ReportSettings
from xattn.settings import Settings, setting
from xattn.settings.load import LoadSettings

FUNCTIONS = [
    (xattn.explain, xattn.ExplainSettings),
    (xattn.feature_usage, xattn.UsageSettings),
    (xattn.usage_over_training, xattn.OverTrainingSettings),
    (xattn.evaluate, xattn.EvaluateSettings),
    (xattn.compare, xattn.CompareSettings),
    (xattn.report, ReportSettings),
    (faithfulness, FaithfulnessSettings),
]


@dataclass(frozen=True)
class Sample(Settings):
    names: tuple[str, ...] | None = setting(None, "--name", "-n", several=True)
    size: tuple[int, int] | None = setting(None, "--size", kind="size")
    number: float = setting(0.5, "--number", kind="number", low=0, high=1)
    off: bool = setting(True, "--no-on", kind="switch")
    file: str | Path | None = setting(None, "--file", kind="file")
    style: str = setting("plain", "--style", choices=("plain", "bold"), identity=True)
    silent: int = setting(1, kind="integer")
    threads: int | None = setting(None, "--threads", kind="integer", recorded=False)


OTHER = Sample(("a b", "ç"), (48, 64), 0.25, False, "x y.csv", "bold", 2, 3)


@pytest.mark.parametrize(("function", "kind"), FUNCTIONS)
def test_each_setting_is_an_argument_of_its_function_with_the_same_default(function, kind) -> None:
    arguments = inspect.signature(function).parameters
    for name in kind.options():
        assert arguments[name].default == getattr(kind, name), name


def test_each_load_setting_is_an_argument_of_load_with_the_same_default() -> None:
    arguments = inspect.signature(xattn.load).parameters
    for name in set(LoadSettings.options()) - {"device"}:  # a notebook says where, or it is the CPU
        assert arguments[name].default == getattr(LoadSettings, name), name


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("explain", (xattn.ExplainSettings, ExplainInputs, LoadSettings, FaithfulnessSettings)),
        ("feature-usage", (xattn.UsageSettings, LoadSettings)),
        ("evaluate", (xattn.EvaluateSettings, LoadSettings)),
        ("compare", (xattn.CompareSettings,)),
        ("report", (ReportSettings,)),
    ],
)
def test_each_setting_with_flags_is_an_option_of_its_command(words, kinds) -> None:
    flags = {flag for option in app.commands[words].params for flag in option.opts}
    for kind in kinds:
        for option in kind.options().values():
            assert set(option.flags) <= flags


def test_a_record_is_plain_json_and_gives_the_settings_back(tmp_path) -> None:
    record = json.loads(json.dumps(OTHER.to_dict(tmp_path)))
    again = Sample.from_dict(record, tmp_path)
    assert again == OTHER.with_values(file=str(Path("x y.csv").absolute()), threads=None)


def test_a_record_of_another_version_keeps_what_is_known() -> None:
    assert Sample.from_dict({"number": 0.75, "gone": 1}) == Sample(number=0.75)


def test_words_name_what_is_not_the_default() -> None:
    assert Sample().words() == []
    assert OTHER.words() == [
        "--name", "a b", "--name", "ç", "--size", "48x64", "--number", "0.25", "--no-on",
        "--file", "x y.csv", "--style", "bold",
    ]  # fmt: skip
    assert OTHER.unsaid() == ["silent"]


def test_a_command_reads_its_words_as_the_same_settings() -> None:
    read = []

    @click.command()
    @options_of(Sample)
    def command(**chosen: object) -> None:
        read.append(taken(Sample, chosen, silent=2))

    command.main([*OTHER.words(), "--threads", "3"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert read == [OTHER.with_values(file=Path("x y.csv")), Sample(silent=2)]


def test_one_name_is_a_tuple_of_one() -> None:
    assert Sample("a").names == ("a",)


def test_settings_come_as_a_whole_or_one_by_one() -> None:
    assert Sample.of(OTHER, number=0.5) is OTHER
    assert Sample.of(None, number=0.75) == Sample(number=0.75)
    with pytest.raises(UsageError, match="as a whole or one by one, but got both: number"):
        Sample.of(OTHER, number=0.75)
    with pytest.raises(UsageError, match="Expected settings of Sample, but got dict"):
        Sample.of({}, number=0.5)  # type: ignore[arg-type]


def test_an_unknown_choice_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="Unknown style 'bald'; did you mean 'bold'"):
        Sample(style="bald")


def test_what_must_be_the_same_in_a_run_is_marked() -> None:
    assert Sample.identity() == ("style",)
    assert xattn.ExplainSettings.identity() == ("overlay", "exact", "precision")
