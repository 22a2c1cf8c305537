import importlib.util
from pathlib import Path

import pytest

from xattn.runs.tables import TABLES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "generate" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_tables_of_columns_in_the_pages_are_those_of_the_declarations(generate, page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert generate.renewed(text) == text, "run `python docs/generate/tables.py`"


def test_every_column_of_every_table_is_on_the_page_of_tables(generate):
    sections = dict(part.split("\n", 1) for part in generate.reference().split("\n## ")[1:])
    for name, table in TABLES.items():
        own = sections[f"{name}.csv"]
        assert table.about in own
        for column in (*table.columns, *table.more, *table.sometimes):
            assert f"`{column.name}`" in own


def test_neighbours_of_one_meaning_share_a_row(generate):
    page = generate.columns(TABLES["alignment"])
    assert page.count("`lift_low`, `lift_high`") == 1
    assert "I(prediction; feature \\| label)" in generate.columns(TABLES["feature_usage"])


def test_the_images_of_a_verdict_are_those_of_its_dependence_test():
    page = (DOCS / "feature-usage.md").read_text(encoding="utf-8")
    own = page.split("<!-- columns: verdicts -->")[1].split("<!-- end of columns -->")[0]
    (row,) = (line for line in own.splitlines() if line.startswith("| `n` |"))
    assert "images of the dependence test" in row
    assert "`n` is of the dependence test alone" in page
