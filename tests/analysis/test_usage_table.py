import numpy as np
import pandas as pd
import pytest

from xattn.analysis.adjust import holm
from xattn.analysis.columns import as_column
from xattn.analysis.usage_table import negative_controls, usage_table
from xattn.runs import COLUMNS

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
        ("ruler", "artifact", "rank(presence)"),
        ("network", "metadata", "rank(presence)"),
        ("network", "metadata", "rank(area)"),
        ("site", "metadata", "rank(value)"),
        ("flat", "metadata", "rank(presence)"),
        ("control-noise", "control", "rank(value)"),
        ("control-label-noise", "control", "rank(presence)"),
    ]
    assert set(COLUMNS["feature_usage"]) <= set(table.columns)


def test_only_the_planted_feature_is_used(table):
    assert table.loc[table["used"], "feature"].tolist() == ["ruler"]


def test_p_values_are_adjusted_over_all_rows_that_have_one(table):
    assert table["p_adjusted"].to_numpy() == pytest.approx(
        holm(table["p_value"].to_numpy()), nan_ok=True
    )
    flat = table[table["feature"] == "flat"].iloc[0]
    assert np.isnan(flat["p_adjusted"])
    assert not flat["used"]
    assert "constant" in flat["note"]


def test_more_permutations_are_drawn_when_the_table_is_long(table):
    assert table.attrs["permutations"] == 4 * 7 / 0.05 - 1
    assert table["smallest_p"].min() * 7 < 0.05


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
