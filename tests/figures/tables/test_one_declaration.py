"""A table is declared in one place, and stands everywhere."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from tests.figures.populated import populated_run
from xattn.figures.page.report import report
from xattn.figures.tables import save_tables
from xattn.runs.tables import TABLES, Field, Printed, Section, Table, declare


@pytest.fixture
def declared():
    """The whole of what is to be written for a new table."""
    yield declare(
        Table(
            "sharpness",
            about="One row per method: how sharp its maps are.",
            columns=(
                Field("method", "attribution method", "text"),
                Field("sharpness", "mean gradient of the maps", unit="per cell", chance="0.2"),
                Field("p_adjusted", "against shuffled maps", "p"),
            ),
            section=Section("How sharp the maps are", "Sharpness", "Mean gradient of each map."),
            printed=Printed("Sharpness of the maps of {of}.", ("method",), ("sharpness",)),
        )
    )
    del TABLES["sharpness"]


def generated_page():
    path = Path(__file__).parents[3] / "docs" / "generate" / "tables.py"
    spec = importlib.util.spec_from_file_location("tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference()


def test_a_table_declared_once_is_in_the_csv_file_the_report_papers_and_the_docs(
    tmp_path, declared
):
    run = populated_run(tmp_path, n=6, methods=("gradcam",))
    rows = {"more": [1], "p_adjusted": [0.0312], "sharpness": [0.4567], "method": ["gradcam"]}
    run.write_table("sharpness", pd.DataFrame(rows))
    with pytest.raises(ValueError, match=r"columns .* in sharpness"):
        run.write_table("sharpness", pd.DataFrame({"method": ["gradcam"]}))
    text = (run.path / "sharpness.csv").read_text(encoding="utf-8")
    assert text.splitlines() == ["method,sharpness,p_adjusted,more", "gradcam,0.4567,0.0312,1"]

    page = report(run).read_text(encoding="utf-8")
    for said in ("How sharp the maps are", "Mean gradient of each map.", "0.457", "chance: 0.2"):
        assert said in page

    tables = {path.suffix: path for path in save_tables(run, only="sharpness")}
    assert tables[".csv"].read_text(encoding="utf-8").endswith("gradcam,0.457,0.0312\n")
    latex = tables[".tex"].read_text(encoding="utf-8")
    assert r"\caption{Sharpness of the maps of" in latex
    assert "gradcam & 0.457 & 0.031" in latex
    assert "| gradcam | 0.457 | 0.031 |" in tables[".md"].read_text(encoding="utf-8")

    docs = generated_page()
    assert "## sharpness.csv" in docs
    assert declared.about in docs
    assert "| `sharpness` | mean gradient of the maps | per cell | 0.2 |" in docs
