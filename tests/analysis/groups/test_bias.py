import numpy as np
import pytest

from xattn.analysis.groups.bias import bias_table
from xattn.analysis.groups.rates import Outcomes
from xattn.runs import TABLES
from xattn.stats.adjust import holm
from xattn.stats.columns import Column, as_column

N = 400
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 2, N)
PRESENT = RNG.integers(0, 2, N)
OTHER = RNG.integers(0, 2, N)
SCORE = RNG.normal(size=N) + 1.5 * TRUTH - 0.75 + 1.0 * PRESENT
QUICK = {"permutations": 199, "bootstrap": 199}


def said(score, truth=TRUTH):
    return Outcomes(
        truth, (score > 0).astype(int), np.stack([-score, score], 1), ["benign", "malignant"], 1
    )


@pytest.fixture(scope="module")
def table():
    columns = [as_column(PRESENT, "ruler", "artifact"), as_column(OTHER, "ink", "artifact")]
    return bias_table(columns, said(SCORE), **QUICK)


def row(table, feature, metric):
    return table[(table["feature"] == feature) & (table["metric"] == metric)].iloc[0]


def test_there_is_a_row_per_artifact_and_metric(table):
    assert list(zip(table["feature"], table["metric"], strict=True)) == [
        (f, m) for f in ("ruler", "ink") for m in ("balanced_accuracy", "tpr", "fpr", "auc")
    ]
    assert set(TABLES["bias"].promised) <= set(table.columns)


def test_gap_is_present_minus_absent(table):
    found = row(table, "ruler", "tpr")
    hit = (SCORE > 0)[TRUTH == 1]
    present = PRESENT[TRUTH == 1] == 1
    assert found["present"] == pytest.approx(hit[present].mean())
    assert found["absent"] == pytest.approx(hit[~present].mean())
    assert found["gap"] == pytest.approx(found["present"] - found["absent"])
    assert (found["n_present"], found["n_absent"]) == (PRESENT.sum(), N - PRESENT.sum())
    assert (found["cases_present"], found["cases_absent"]) == (present.sum(), (~present).sum())


def test_an_artifact_that_raises_the_score_raises_both_rates(table):
    for metric in ("tpr", "fpr"):
        found = row(table, "ruler", metric)
        assert found["gap_low"] > 0
        assert found["p_adjusted"] < 0.05
    assert row(table, "ruler", "auc")["p_value"] > 0.05


def test_an_artifact_that_does_nothing_shows_no_gap(table):
    assert (table.loc[table["feature"] == "ink", "p_adjusted"] > 0.05).all()


def test_p_values_are_adjusted_over_the_table(table):
    assert table["p_adjusted"].to_numpy() == pytest.approx(holm(table["p_value"]))


def test_metrics_that_rest_on_too_few_images_are_not_given():
    rare = PRESENT.copy()
    rare[(TRUTH == 1).nonzero()[0][2:]] = 0
    rare[(TRUTH == 1).nonzero()[0][:2]] = 1
    found = bias_table([as_column(rare, "patches", "artifact")], said(SCORE), **QUICK)
    for metric in ("balanced_accuracy", "tpr", "auc"):
        one = row(found, "patches", metric)
        assert np.isnan(one[["present", "gap", "gap_low", "gap_high", "p_value"]].tolist()).all()
        assert one["cases_present"] == 2
        assert np.isfinite(one["absent"])
    assert np.isfinite(row(found, "patches", "fpr")["p_value"])


@pytest.mark.parametrize("value", [0, 1])
def test_an_artifact_in_all_images_or_none_gets_no_numbers(value):
    column = Column("hair", "artifact", "presence", np.full(N, float(value)))
    found = bias_table([column], said(SCORE), **QUICK)
    assert found[["gap", "p_value"]].isna().all(axis=None)
    assert found["p_adjusted"].isna().all()


def test_images_where_presence_is_unknown_are_left_out():
    some = PRESENT.astype(float)
    some[:100] = np.nan
    found = bias_table([as_column(some, "ruler", "artifact")], said(SCORE), **QUICK)
    kept = bias_table(
        [as_column(PRESENT[100:], "ruler", "artifact")], said(SCORE[100:], TRUTH[100:]), **QUICK
    )
    assert found.equals(kept)


def test_counts_mean_present_above_zero():
    counts = PRESENT * RNG.integers(1, 5, N)
    by_count = bias_table([as_column(counts, "hair", "artifact")], said(SCORE), **QUICK)
    by_presence = bias_table([as_column(PRESENT, "hair", "artifact")], said(SCORE), **QUICK)
    assert by_count.equals(by_presence)


def test_grouped_images_make_wider_intervals():
    groups = np.repeat(np.arange(N // 8), 8)
    truth, present = np.repeat(RNG.integers(0, 2, (2, N // 8)), 8, axis=1)
    score = np.repeat(RNG.normal(size=N // 8), 8) + truth - 0.5
    column = [as_column(present, "ruler", "artifact")]
    widths = [
        row(bias_table(column, said(score, truth), g, **QUICK), "ruler", "tpr")
        for g in (groups, None)
    ]
    together, apart = (w["gap_high"] - w["gap_low"] for w in widths)
    assert together > 1.8 * apart


def test_blocks_change_nothing(monkeypatch):
    column = [as_column(PRESENT, "ruler", "artifact")]
    whole = bias_table(column, said(SCORE), **QUICK)
    monkeypatch.setattr("xattn.analysis.groups.bias._BLOCK", 7 * N)
    assert whole.equals(bias_table(column, said(SCORE), **QUICK))


def test_three_classes_have_rates_each():
    truth = RNG.integers(0, 3, N)
    scores = RNG.normal(size=(N, 3)) + np.eye(3)[truth]
    three = Outcomes(truth, scores.argmax(1), scores, ["a", "b", "c"], 2)
    found = bias_table([as_column(PRESENT, "ruler", "artifact")], three, **QUICK)
    assert "tpr[b]" in found["metric"].tolist()
    assert np.isfinite(found["gap"]).all()


def test_no_artifacts_give_an_empty_table():
    assert bias_table([], said(SCORE)).empty


def test_each_category_of_a_nominal_feature_is_held_against_all_others():
    site = np.array(list("abc"))[RNG.integers(0, 3, N)]
    many = {**QUICK, "permutations": 999}  # enough for either table
    found = bias_table([as_column(site, "site", "metadata")], said(SCORE), **many)
    assert found["feature"].unique().tolist() == ["site=a", "site=b", "site=c"]
    assert found["category"].unique().tolist() == ["a", "b", "c"]
    expected = bias_table([as_column(site == "b", "b")], said(SCORE), **many)
    numbers = ["n_present", "present", "absent", "gap", "gap_low", "p_value", "p_delong"]
    own = found[found["category"] == "b"]
    assert np.array_equal(own[numbers], expected[numbers], equal_nan=True)


def test_of_two_categories_the_first_says_all():
    sex = np.array(["female", "male"])[PRESENT]
    found = bias_table([as_column(sex, "sex", "metadata")], said(SCORE), **QUICK)
    assert found["feature"].unique().tolist() == ["sex=female"]
    assert row(found, "sex=female", "tpr")["gap"] < 0


def test_a_category_of_too_few_images_stays_empty():
    site = np.where(np.arange(N) < 6, "face", np.where(PRESENT == 1, "arm", "leg"))
    found = bias_table([as_column(site, "site", "metadata")], said(SCORE), **QUICK)
    assert (
        found.loc[found["category"] == "face", ["gap", "p_value", "p_delong"]].isna().all(axis=None)
    )
    assert found.loc[found["category"] == "arm", "gap"].notna().all()


def test_p_values_are_adjusted_over_artifacts_and_over_groups_apart():
    columns = [as_column(PRESENT, "ruler", "artifact"), as_column(OTHER, "smoker", "metadata")]
    both = bias_table(columns, said(SCORE), **QUICK)
    for kind in ("artifact", "metadata"):
        part = both[both["kind"] == kind]
        assert part["p_adjusted"].to_numpy() == pytest.approx(holm(part["p_value"]))


def test_delongs_p_value_stands_beside_the_areas_alone(table):
    given = table["p_delong"].notna()
    assert (given == (table["metric"] == "auc")).all()
    # The score moves, but the ranking within either side does not: no gap of AUC.
    assert row(table, "ruler", "auc")["p_delong"] > 0.05
