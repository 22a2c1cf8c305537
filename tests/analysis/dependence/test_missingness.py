"""Features that are missing together have one row of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xattn.analysis.dependence.missingness import missingness
from xattn.analysis.dependence.table import usage_table
from xattn.analysis.verdicts.table import verdict_table
from xattn.runs.tables.verdicts import NOT_TESTABLE, UNCLEAR
from xattn.stats.columns import as_column

N = 200
RNG = np.random.default_rng(0)
CUT = RNG.random(N) < 0.4
LABEL = np.array(["a", "b"] * (N // 2))


def where_known(values: np.ndarray, missing: np.ndarray = CUT) -> np.ndarray:
    return np.where(missing, np.nan, values)


def test_one_column_stands_for_all_that_are_missing_in_the_same_images() -> None:
    other = np.roll(CUT, 1)
    columns = [
        as_column(where_known(RNG.random(N)), "age"),
        as_column(where_known(RNG.random(N)), "sex"),
        as_column(where_known(RNG.random(N), other), "site"),
        as_column(RNG.random(N), "width"),
    ]
    found, stands_for = missingness(columns)
    assert [(c.feature, c.aspect) for c in found] == [("age, sex", "missing"), ("site", "missing")]
    assert stands_for == {4: ("age", "sex"), 5: ("site",)}


def test_a_feature_that_says_why_the_others_are_missing_stands_for_it() -> None:
    columns = [
        as_column(CUT.astype(float), "lesion_cut", "computed"),
        as_column(where_known(RNG.random(N)), "diameter", "computed"),
        as_column(where_known(RNG.random(N)), "compactness", "computed"),
    ]
    found, stands_for = missingness(columns)
    assert found == []
    assert stands_for == {0: ("diameter", "compactness")}


def test_the_table_names_them_and_the_verdict_is_about_the_value() -> None:
    score = 3.0 * CUT + RNG.normal(size=N)
    table = usage_table(
        pd.DataFrame({
            "age": where_known(RNG.random(N)), "sex": where_known(RNG.random(N)),
            "lone": where_known(np.ones(N), np.roll(CUT, 3)),
        }),
        score, LABEL, permutations=199, bootstrap=99,
    )  # fmt: skip
    rows = table[table["test"] == "min-p(missing)"].set_index("feature")
    assert rows["stands_for"].to_dict() == {"age, sex": "age; sex", "lone": "lone"}
    assert rows.loc["age, sex", "used"]
    none = pd.DataFrame()
    verdicts = verdict_table(table, none, none).set_index("feature")["verdict"]
    assert set(verdicts.index) == {"age", "sex", "lone"}
    assert verdicts["age"] != UNCLEAR


def test_only_a_feature_whose_value_never_varies_is_judged_by_whether_it_is_known() -> None:
    flag = where_known(np.ones(N))
    table = usage_table(
        pd.DataFrame({"flag": flag}), 3.0 * CUT, LABEL, permutations=199, bootstrap=99
    )
    none = pd.DataFrame()
    verdicts = verdict_table(table, none, none).set_index("feature")["verdict"]
    assert verdicts["flag"] == UNCLEAR
    assert NOT_TESTABLE not in set(verdicts)
