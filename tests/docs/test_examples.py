"""Every example on the pages runs, or says why not; and then it is right as far as one can see."""

from __future__ import annotations

import re
import tomllib

import pytest
import rich_click as click

import xattn.cli
from tests.docs.examples import PAGES, ROOT, all_examples, examples
from tests.docs.workshop import copy_for, names_for

EXAMPLES = all_examples()
ELSEWHERE = {"docs/synthesize.md", "docs/extending.md", "docs/domains.md"}
"""Pages whose examples another test runs: tests/synthetic/test_docs.py, tests/test_extending.py,
tests/docs/test_domains.py."""
RUN = [page for page in PAGES if any(e.kind in ("console", "python", "sh") and not e.reason
                                     for e in examples(page))
       and page.relative_to(ROOT).as_posix() not in ELSEWHERE]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.place)
def test_a_block_says_what_is_in_it(example):
    assert example.kind in {"console", "json", "python", "sh", "text", "toml"}
    if example.kind == "text":
        shown = re.findall(r"^(?:\$ .*|xattn [a-z-]+ .*-.*)$", example.body, re.MULTILINE)
        assert not [line for line in shown if "[--" not in line], (
            "commands stand in a console block"
        )


@pytest.mark.parametrize(
    ("example", "call"),
    [(example, call) for example in EXAMPLES for call in example.calls],
    ids=lambda x: x.place if hasattr(x, "place") else " ".join(x)[:40],
)
def test_a_command_on_a_page_is_one_that_there_is(example, call, monkeypatch):
    monkeypatch.setattr("xattn.addresses.doors.local", lambda given: given)  # nobody's buckets
    words = [re.sub(r"\$\w+", "0", word) for word in call]
    with click.Context(xattn.cli.app) as context:
        group, command = xattn.cli.app, None
        while isinstance(group, click.Group):
            name, command, words = group.resolve_command(context, words)
            group = command
        command.make_context(name, words)


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e.kind in ("python", "toml")], ids=lambda e: e.place
)
def test_code_on_a_page_is_well_formed(example):
    if example.kind == "toml":
        tomllib.loads(example.body)
    else:
        compile(example.body, example.place, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_examples_of_a_page_run(page, workshop, tmp_path, monkeypatch, capsys):
    name = page.relative_to(ROOT).as_posix()
    copy_for(name, workshop, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = names_for(name, tmp_path)
    for example in examples(page):
        if example.reason:
            continue
        if example.kind == "python":
            exec(compile(example.body, example.place, "exec"), names)
        for number, call in enumerate(example.calls, start=1):
            refused = number == len(example.calls) and "\nError: " in example.body
            code = xattn.cli.main(call)
            assert code == (1 if refused else 0), (example.place, call, capsys.readouterr().err)
