import numpy as np
import pytest
from fairlearn import metrics

from xattn.analysis.groups.fairness import METRICS, apart, fairness_table
from xattn.analysis.groups.rates import Outcomes
from xattn.runs import TABLES
from xattn.stats.adjust import holm
from xattn.stats.columns import as_column

N = 360
QUICK = {"permutations": 199, "bootstrap": 199}
EVEN = dict(zip(METRICS, (0, 1, 0), strict=True))


def sample(shift=0.0, seed=0, n=N):
    """Outcomes, and sites of which "b" has its scores moved."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    site = rng.choice(list("abc"), n)
    score = rng.normal(size=n) + 2 * truth - 1 + shift * (site == "b")
    said = Outcomes(truth, (score > 0).astype(int), np.stack([-score, score], 1), ["b", "m"], 1)
    return said, site


def found(said, site, groups=None, **options):
    table = fairness_table([as_column(site, "site")], said, groups, **{**QUICK, **options})
    return table.set_index("metric")


@pytest.mark.parametrize("seed", range(4))
def test_values_are_fairlearns_and_our_own_sums_give_the_same(seed):
    said, site = sample(0.8, seed)
    table = found(said, site, bootstrap=1)
    counts = np.array([
        [(said.truth[s] == 1).sum(), (said.truth[s] == 0).sum(),
         ((said.truth == 1) & (said.predicted == 1))[s].sum(),
         ((said.truth == 0) & (said.predicted == 1))[s].sum()]
        for s in (site == name for name in "abc")
    ])  # fmt: skip
    for name, own in zip(METRICS, apart(counts[None])[0], strict=True):
        theirs = getattr(metrics, name)(said.truth, said.predicted, sensitive_features=site)
        assert table.loc[name, "value"] == pytest.approx(theirs)
        assert own == pytest.approx(theirs)


def test_there_is_a_row_per_feature_and_metric_with_the_promised_columns():
    said, site = sample()
    columns = [as_column(site, "site"), as_column(site == "a", "ruler", "artifact")]
    table = fairness_table(columns, said, **QUICK)
    assert set(TABLES["fairness"].promised) <= set(table.columns)
    assert list(zip(table["feature"], table["metric"], strict=True)) == [
        (f, m) for f in ("site", "ruler") for m in METRICS
    ]
    assert table.set_index("feature")["categories"].unique().tolist() == [
        "a; b; c", "absent; present",
    ]  # fmt: skip
    for _, part in table.groupby("metric"):
        assert part["p_adjusted"].to_numpy() == pytest.approx(holm(part["p_value"]))


def test_groups_treated_apart_are_found_and_chance_is_stated():
    table = found(*sample(1.5))
    assert (table["p_adjusted"] <= 0.01).all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table.loc["equalized_odds_difference", "low"] > 0
    assert table.loc["equalized_odds_ratio", "high"] < 1
    assert 0.02 < table.loc["equalized_odds_difference", "chance"] < 0.2
    assert 0.5 < table.loc["equalized_odds_ratio", "chance"] < 0.98


def test_groups_treated_alike_have_an_interval_that_reaches_to_no_difference():
    table = found(*sample(0.0, seed=2))
    assert (table["p_value"] > 0.05).all()
    for metric, even in EVEN.items():
        assert table.loc[metric, "low"] <= even <= table.loc[metric, "high"]
    # Never 0, though nothing is unfair: that is what `chance` is for.
    difference = table.loc["equalized_odds_difference"]
    assert difference["value"] == pytest.approx(difference["chance"], rel=0.8)


def test_other_frequencies_of_the_label_are_no_unequal_odds_but_no_parity_either():
    rng = np.random.default_rng(0)
    site = rng.choice(list("ab"), N)
    truth = (rng.random(N) < np.where(site == "a", 0.2, 0.7)).astype(int)
    score = rng.normal(size=N) + 3 * truth - 1.5
    said = Outcomes(truth, (score > 0).astype(int), np.stack([-score, score], 1), ["b", "m"], 1)
    table = found(said, site)
    assert table.loc["equalized_odds_difference", "p_value"] > 0.05
    assert table.loc["demographic_parity_difference", "p_value"] < 0.01


def test_groups_of_too_few_images_are_left_out_and_named():
    said, site = sample(0.5)
    few = site.astype(object)
    few[np.flatnonzero((site == "c") & (said.truth == 1))[9:]] = "a"
    table = found(said, few)
    assert table["categories"].unique().tolist() == ["a; b"]
    assert table["left_out"].unique().tolist() == ["c"]
    assert (table["n"] == (few != "c").sum()).all()
    expected = found(said.subset(np.flatnonzero(few != "c")), few[few != "c"])
    assert table["value"].tolist() == expected["value"].tolist()


def test_a_single_group_has_no_numbers():
    said, _ = sample()
    table = found(said, np.full(N, "a"))
    assert table[["value", "low", "chance", "p_value", "p_adjusted"]].isna().all(axis=None)


def test_images_whose_group_is_unknown_are_left_out():
    said, site = sample(0.7)
    some = site.astype(object)
    some[:100] = None
    kept = found(said.subset(np.arange(100, N)), site[100:])
    assert found(said, some).equals(kept)


def test_a_rate_that_is_zero_everywhere_is_even():
    truth = np.tile([0, 1], 60)
    score = truth - 0.5  # never wrong: fpr is 0 in every group
    said = Outcomes(truth, truth, np.stack([-score, score], 1), ["b", "m"], 1)
    table = found(said, np.repeat(["a", "b"], 60))
    assert table["value"].tolist() == [0, 1, 0]
    assert (table["p_value"] == 1).all()


def test_three_classes_are_taken_each_against_the_rest():
    rng = np.random.default_rng(0)
    truth, site = rng.integers(0, 3, N), rng.choice(list("ab"), N)
    predicted = np.where(rng.random(N) < 0.7, truth, rng.integers(0, 3, N))
    predicted[(site == "b") & (truth == 2)] = 0
    three = Outcomes(truth, predicted, np.eye(3)[predicted], list("xyz"), 2)
    value = found(three, site).loc["equalized_odds_difference", "value"]
    hit = [(predicted == 2)[(truth == 2) & (site == s)].mean() for s in "ab"]
    assert value == pytest.approx(abs(hit[0] - hit[1]))


def test_grouped_images_make_wider_intervals():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 6)
    truth, site = np.repeat(rng.integers(0, 2, (2, 60)), 6, axis=1)
    score = np.repeat(rng.normal(size=60), 6) + truth - 0.5 + 1.5 * site
    said = Outcomes(truth, (score > 0).astype(int), np.stack([-score, score], 1), ["b", "m"], 1)
    together, apart_ = (found(said, site.astype(str), g) for g in (group, None))
    width = [t["high"].iloc[0] - t["low"].iloc[0] for t in (together, apart_)]
    assert width[0] > 1.5 * width[1]


def test_same_seed_same_table_and_blocks_change_nothing(monkeypatch):
    said, site = sample(0.4)
    whole = found(said, site)
    monkeypatch.setattr("xattn.analysis.groups.fairness._BLOCK", 7 * N)
    assert whole.equals(found(said, site))


def test_no_features_give_an_empty_table():
    assert fairness_table([], sample()[0]).empty
