"""Numbers of the study on docs/study.md are those of its tables, or there are none."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("study", ROOT / "docs" / "generate" / "study.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_tables_say(generate):
    page = generate.PAGE.read_text(encoding="utf-8")
    assert {found[2] for found in generate.MARKED.finditer(page)} == set(generate.PARTS)
    assert generate.renewed(page) == page, "run `python docs/generate/study.py`"


def test_without_the_tables_the_page_has_no_number(generate, monkeypatch, tmp_path):
    monkeypatch.setattr(generate, "TABLES", tmp_path)
    for part in generate.MARKED.finditer(generate.renewed(generate.PAGE.read_text("utf-8"))):
        assert not re.search(r"\d", part[3])
