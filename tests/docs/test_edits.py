"""The tables of edits held against the truth are what the package knows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from xattn.analysis.interventions.known import FEWEST_NETWORKS, LEAST_CORRELATION, SLOPES, known

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("edits_page", DOCS / "generate" / "edits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_edit_that_is_known(generate):
    text = generate.PAGE.read_text(encoding="utf-8")
    assert generate.renewed(text) == text, "run `python docs/generate/edits.py`"
    shown = {found[2] for found in generate.MARKED.finditer(text)}
    assert shown == {one.domain for one in known()}


def test_the_page_says_the_rule_by_which_an_edit_is_poor(generate):
    text = generate.PAGE.read_text(encoding="utf-8")
    low, high = SLOPES
    assert f"correlation is below {LEAST_CORRELATION:g}" in text
    assert f"outside {low:g} to {high:g}" in text
    assert f"fewer than {FEWEST_NETWORKS} networks" in text
