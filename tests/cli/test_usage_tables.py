"""What `xattn feature-usage` prints: a heading over every line, and no number that is none."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.figures.made_tables import bias_table, fairness_table
from tests.figures.populated import complete_run
from xattn.analysis.usage_result import FeatureUsage
from xattn.cli.terminal import Terminal
from xattn.cli.usage_tables import MOST_ROWS, show_usage
from xattn.runs import TABLES

GAPS = {
    "bias": ("Is the model better or worse where the artifact is", "gap"),
    "fairness": ("How far are rates of two groups apart, at most?", "value"),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    run = complete_run(tmp_path_factory.mktemp("run"))
    names = ("alignment", "feature_usage", "interventions", "doses", "concepts", "bias",
             "fairness", "agreement", "verdicts")  # fmt: skip
    found = {"run": run}
    for name in names:
        table = run.table(name)
        found[name] = table.reindex(columns=dict.fromkeys([*TABLES[name].always, *table]))
    return found


def printed(capsys, tables: dict[str, pd.DataFrame], **others: pd.DataFrame) -> list[str]:
    own = {**tables, **others}
    run, usage = own.pop("run"), own.pop("feature_usage")
    show_usage(Terminal(), FeatureUsage(run, usage=usage, **own))
    return capsys.readouterr().out.splitlines()


def gaps(name: str, features: list[str]) -> pd.DataFrame:
    if name == "bias":
        return bias_table(features, np.random.default_rng(0))
    return fairness_table(dict.fromkeys(features, "artifact"))


def without(table: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    """Leave features without numbers, as where there are too few images."""
    numbers = [c for c in table if table[c].dtype.kind == "f"]
    return table.assign(**{c: table[c].mask(table["feature"].isin(features)) for c in numbers})


@pytest.mark.parametrize("name", GAPS)
@pytest.mark.parametrize("some", [True, False], ids=["others compared", "none compared"])
def test_features_with_too_few_images_are_told_below_the_heading(name, some, tables, capsys):
    title, _ = GAPS[name]
    table = gaps(name, ["ruler", "ink", "hair"])
    features = sorted(set(table["feature"]).difference(["ruler"] if some else []))
    lines = printed(capsys, tables, **{name: without(table, features)})
    begin = next(i for i, line in enumerate(lines) if line.startswith(title))
    end = next(i for i, line in enumerate(lines) if "too few images to be compared: " in line)
    assert lines[end].startswith(f"  {len(features)} features have too few images")
    assert all(line.startswith(" ") for line in lines[begin + 2 : end + 1])
    assert ("nothing to show." in lines[begin]) is not some


@pytest.mark.parametrize("name", GAPS)
def test_rows_that_are_not_printed_are_counted_below_the_heading(name, tables, capsys):
    features = [f"artifact {i}" for i in range(MOST_ROWS + 2)]
    table = gaps(name, features)
    table["p_adjusted"] = 1.0
    always = {"bias": "balanced_accuracy", "fairness": "equalized_odds_difference"}[name]
    rows = int((table["metric"] == always).sum())
    lines = printed(capsys, tables, **{name: table})
    said = f"  {rows - MOST_ROWS} more rows in {name}.csv, 0 of them significant"
    assert lines.count(said) == 1


@pytest.mark.parametrize("name", ["alignment", "interventions", "doses", "concepts", "agreement"])
def test_a_row_without_numbers_has_dashes(name, tables, capsys):
    table = tables[name].copy()
    numbers = [c for c in table if table[c].dtype.kind == "f" and c != "n"]
    table.loc[0, numbers] = np.nan
    said = "\n".join(printed(capsys, tables, **{name: table}))
    assert re.search(r"\s-\s", said)
    assert not re.search(r"\bnan\b", said)
