"""The tables of options on the pages are those of the commands, and say what each option is."""

from __future__ import annotations

import sys

import click
import pytest

from tests.docs.examples import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture
def options(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "generate"))
    sys.modules.pop("options", None)
    import options

    return options


def test_every_command_has_its_table_on_the_page_of_its_name(options):
    for words in options.commands():
        page = (ROOT / "docs" / f"{words.split()[0]}.md").read_text(encoding="utf-8")
        assert f"<!-- options: xattn {words} -->" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_on_a_page_are_those_of_the_commands(options, page):
    text = page.read_text(encoding="utf-8")
    assert options.renewed(text) == text, "run `python docs/generate/options.py`"


def test_every_option_has_a_help(options):
    for words, command in options.commands().items():
        for parameter in command.params:
            argument = isinstance(parameter, click.Argument)
            assert argument or parameter.help, f"{words} {parameter.name}"
            assert not argument or options.ARGUMENTS[words]


def test_the_table_of_a_command_shows_values_defaults_and_what_is_required(options):
    table = options.table("explain")
    assert "| `--ckpt PATH` | required | The checkpoint" in table
    assert "| `--overlay png\\|jpeg\\|none` | `png` | Format" in table
    assert "`--quiet" not in table
