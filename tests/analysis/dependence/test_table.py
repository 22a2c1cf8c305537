import numpy as np
import pandas as pd
import pytest

from xattn.analysis.dependence.table import negative_controls, usage_table
from xattn.runs import TABLES
from xattn.stats.adjust import benjamini_hochberg, holm
from xattn.stats.columns import as_column

RNG = np.random.default_rng(0)
N = 300
LABEL = RNG.choice(["benign", "malignant"], N)
FEATURES = pd.DataFrame(
    {
        "ruler": RNG.integers(0, 2, N),
        "network": RNG.integers(0, 2, N),
        "network.area": RNG.random(N),
        "site": RNG.choice(["back", "arm", "leg"], N),
        "flat": np.ones(N),
    }
)
SCORE = RNG.normal(size=N) + 2 * FEATURES["ruler"] + (LABEL == "malignant")


@pytest.fixture(scope="module")
def table():
    return usage_table(
        FEATURES, SCORE, LABEL, kinds={"ruler": "artifact"}, permutations=199, bootstrap=99
    )


def test_there_is_a_row_per_feature_and_aspect_and_two_controls(table):
    rows = list(zip(table["feature"], table["kind"], table["test"], strict=True))
    assert rows == [
        ("ruler", "artifact", "min-p(presence)"),
        ("network", "metadata", "min-p(presence)"),
        ("network", "metadata", "min-p(area)"),
        ("site", "metadata", "min-p(value)"),
        ("flat", "metadata", "min-p(presence)"),
        ("control-noise", "control", "min-p(value)"),
        ("control-label-noise", "control", "min-p(presence)"),
    ]
    assert set(TABLES["feature_usage"].promised) <= set(table.columns)


def test_only_the_planted_feature_is_used(table):
    assert table.loc[table["used"], "feature"].tolist() == ["ruler"]


def test_p_values_are_adjusted_over_all_rows_that_have_one(table):
    p = table["p_value"].to_numpy()
    assert table["p_holm"].to_numpy() == pytest.approx(holm(p), nan_ok=True)
    assert table["p_bh"].to_numpy() == pytest.approx(benjamini_hochberg(p), nan_ok=True)
    assert table.attrs["adjusted"] == "Westfall-Young"
    tested = table[table["p_value"].notna()]
    assert (tested["p_adjusted"] >= tested["p_value"]).all()
    flat = table[table["feature"] == "flat"].iloc[0]
    assert np.isnan(flat["p_adjusted"])
    assert not flat["used"]
    assert "constant" in flat["note"]


def test_more_permutations_are_drawn_when_the_table_is_long(table):
    assert table.attrs["permutations"] == 4 * 7 / 0.05 - 1
    assert table["smallest_p"].min() * 7 < 0.05


@pytest.mark.parametrize(
    "choice", [{"decision": "majority"}, {"tests": ("rank",), "early_stopping": 20}], ids=str
)
def test_without_shared_permutations_holms_method_adjusts(choice):
    table = usage_table(
        FEATURES[["ruler", "site"]], SCORE, LABEL, permutations=99, bootstrap=9, **choice
    )
    assert table.attrs["adjusted"] == "Holm"
    assert table["p_adjusted"].to_numpy() == pytest.approx(table["p_holm"].to_numpy())
    assert table.loc[table["used"], "feature"].tolist() == ["ruler"]


def test_that_a_value_is_missing_is_tested_as_a_feature():
    age = np.where(RNG.random(N) < 0.3 + 0.5 * (FEATURES["ruler"] == 1), np.nan, 50.0)
    table = usage_table(
        pd.DataFrame({"age": age}), SCORE, LABEL, permutations=99, bootstrap=9
    ).set_index(["feature", "test"])
    assert table.loc[("age", "min-p(missing)"), "used"]
    assert table.loc[("age", "min-p(missing)"), "n"] == N
    assert "constant" in table.loc[("age", "min-p(value)"), "note"]


def test_the_label_control_follows_the_label_and_nothing_else():
    blind, follows = negative_controls(np.repeat(["a", "b"], 5000), seed=1)
    assert follows.values[5000:].mean() - follows.values[:5000].mean() == pytest.approx(
        0.6, abs=0.05
    )
    assert abs(blind.values[:5000].mean() - blind.values[5000:].mean()) < 0.1
    assert (blind.kind, follows.kind) == ("control", "control")


def test_columns_may_be_given_instead_of_a_table():
    columns = [as_column(FEATURES["ruler"], "ruler", "artifact")]
    short = usage_table(columns, SCORE, LABEL, permutations=99, bootstrap=9)
    assert short["feature"].tolist() == ["ruler", "control-noise", "control-label-noise"]


def test_several_tests_get_a_column_each():
    wide = usage_table(
        FEATURES[["ruler"]], SCORE, LABEL, tests=("rank", "dcor"), permutations=99, bootstrap=9
    )
    assert {"p_rank", "p_dcor"} <= set(wide.columns)
    assert wide["test"].iloc[0] == "min-p(presence)"


def test_a_statistic_that_decides_alone_is_adjusted_by_the_permutations():
    table = usage_table(FEATURES, SCORE, LABEL, decision="rank", permutations=199, bootstrap=0)
    assert table.attrs["adjusted"] == "Westfall-Young"
    assert table.set_index("feature")["used"]["ruler"]
