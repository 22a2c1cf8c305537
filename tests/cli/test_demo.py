import json

import pandas as pd
import pytest

from xattn.cli import main


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_figures_tables_and_a_page(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--n", "60", "--epochs", "1", "--out", str(out), "--json"]) == 0
    page = json.loads(capsys.readouterr().out)["report"]
    assert page == str(out / "run" / "report.html")
    assert "<html" in (out / "run" / "report.html").read_text(encoding="utf-8")[:200]
    usage = pd.read_csv(out / "run" / "feature_usage.csv")
    planted = json.loads((out / "data" / "truth.json").read_text())
    assert {"patches", "control-noise"} <= set(usage["feature"])
    assert "patches" in json.dumps(planted)
    figures = {path.stem for path in (out / "run" / "figures").glob("*.png")}
    assert {"attribution-grid", "alignment", "feature-usage", "interventions", "bias"} <= figures
    tables = {path.name for path in (out / "run" / "tables").iterdir()}
    assert {"verdicts.tex", "alignment.md", "feature_usage.csv", "bias.tex"} <= tables
