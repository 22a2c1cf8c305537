import numpy as np
import pandas as pd
import pytest

import xattn
from xattn.analysis.dependence.given.explained import ALL_TOGETHER
from xattn.analysis.dependence.given.table import given_table, held_fixed
from xattn.analysis.dependence.table import usage_table
from xattn.errors import UsageError
from xattn.stats.columns import as_column

N = 600
RNG = np.random.default_rng(6)
LABEL = RNG.integers(0, 2, N)
USED = (RNG.random(N) < np.where(LABEL, 0.5, 0.3)).astype(float)
CORRELATE = np.where(RNG.random(N) < 0.7, USED, RNG.integers(0, 2, N))
OTHER = RNG.normal(size=N)
SCORE = LABEL + 1.5 * USED + 0.5 * OTHER + RNG.normal(size=N)
FEATURES = pd.DataFrame({"patch": USED, "ink": CORRELATE, "age": OTHER})
QUICK = {"permutations": 199, "bootstrap": 199, "learner": "ridge"}


def table(features=FEATURES, score=SCORE, label=LABEL, groups=None, given="others", **more):
    found = usage_table(
        features, score, label, groups, tests=("rank",), given=given, **{**QUICK, **more}
    )
    return found.set_index("feature")


def test_a_correlate_depends_given_the_label_and_not_given_what_is_used():
    found = table()
    assert found.loc["ink", "used"]
    assert found.loc["ink", "p_given_adjusted"] > 0.05
    assert found.loc["ink", "explained_by"] == "patch"
    assert found.loc["ink", "p_equivalent"] < 0.05
    assert found.loc["patch", "p_given_adjusted"] < 0.05
    assert found.loc["patch", "effect_given_low"] > 0.2
    assert pd.isna(found.loc["patch", "explained_by"])
    assert (found.filter(like="control", axis=0)["p_given_adjusted"] > 0.05).all()


def test_what_is_held_fixed_can_be_named():
    alone = table(given="age")
    assert alone.loc["ink", "p_given_adjusted"] < 0.05
    assert table(given=["age", "patch"]).loc["ink", "p_given_adjusted"] > 0.05
    assert table(given="none")["p_given"].isna().all()
    with pytest.raises(UsageError, match=r"'pach'.*did you mean 'patch'"):
        table(given="pach")


def test_the_words_others_and_none_are_never_names_of_features():
    columns = [as_column(USED, "others"), as_column(OTHER, "none"), as_column(SCORE, "a, b")]
    assert held_fixed(columns, "others") == [True, True, True]
    assert held_fixed(columns, ["none"]) == [False, False, False]
    for words in (["others", "none"], "others,age"):
        with pytest.raises(UsageError, match="but got several: others, "):
            held_fixed(columns, words)


def test_names_may_stand_between_commas_unless_a_feature_is_called_so():
    columns = [as_column(USED, "a"), as_column(OTHER, "b"), as_column(SCORE, "a, b")]
    assert held_fixed(columns, "a,b") == held_fixed(columns, ["a", "b"]) == [True, True, False]
    assert held_fixed(columns, "a, b") == [False, False, True]


def test_features_that_say_nearly_the_same_do_not_explain_each_other_away():
    twin = 3 * OTHER + 0.3 * RNG.normal(size=N)
    found = table(FEATURES.assign(months=twin))
    assert found.loc["months", "nearly_the_same"] == "age"
    assert (found.loc[["age", "months"], "p_given_adjusted"] < 0.05).all()
    assert found.loc[["age", "months"], "p_within"].notna().all()


@pytest.mark.parametrize("kind", ["several classes", "a gap", "names", "groups", "a constant"])
def test_every_kind_of_data_is_tested(kind):
    features, score, label, groups = FEATURES.copy(), SCORE, LABEL, None
    if kind == "several classes":
        label = RNG.integers(0, 3, N)
        logits = RNG.normal(size=(N, 3)) + np.eye(3)[label]
        logits[:, 1] += 1.5 * USED
        score = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    elif kind == "a gap":
        features.loc[RNG.random(N) < 0.3, "age"] = np.nan
    elif kind == "names":
        features["site"] = np.array(list("abc"))[RNG.integers(0, 3, N)]
    elif kind == "groups":
        groups = np.arange(N) // 3
    else:
        features["nothing"] = 1.0
    found = table(features, score, label, groups)
    assert found.loc["patch", "p_given_adjusted"].min() < 0.05
    tested = found.drop("nothing", errors="ignore")
    assert tested["p_given"].between(0, 1).all()


def test_too_few_groups_are_not_tested():
    found = table(groups=np.arange(N) % 20)
    assert found["p_given"].isna().all()


def test_an_unknown_learner_is_refused():
    with pytest.raises(UsageError, match="boosting or ridge"):
        given_table([as_column(USED)], SCORE, LABEL, None, [False], learner="rigde")


def test_a_dependence_that_three_features_do_not_explain_is_explained_by_all():
    rng = np.random.default_rng(8)
    parts = rng.normal(size=(N, 8))
    whole = parts.sum(axis=1) / np.sqrt(8)
    features = pd.DataFrame(parts).add_prefix("p").assign(x=whole + 0.3 * rng.normal(size=N))
    found = table(features, LABEL + whole + 0.3 * rng.normal(size=N))
    assert found.loc["x", "explained_by"] == ALL_TOGETHER


def test_one_test_takes_a_table_an_array_or_columns_to_hold_fixed():
    drawn = {"permutations": 199, "bootstrap": 199, "tests": ("rank",)}
    ways = [
        FEATURES[["patch", "age"]],
        FEATURES[["patch", "age"]].to_numpy(),
        [as_column(USED, "patch"), as_column(OTHER, "age")],
    ]
    found = [xattn.usage_test(CORRELATE, SCORE, LABEL, given=given, **drawn) for given in ways]
    assert len({(one.p_given, one.effect_given) for one in found}) == 1
    assert found[0].p_value < 0.05 < found[0].p_given
    assert found[0].p_equivalent < 0.05
    assert np.isnan(xattn.usage_test(CORRELATE, SCORE, LABEL, **drawn).p_given)
    assert xattn.usage_test(CORRELATE, SCORE, LABEL, given=dict(ways[0]), **drawn) == found[0]
    with pytest.raises(ValueError, match="Expected 600 values"):
        xattn.usage_test(CORRELATE, SCORE, LABEL, given=OTHER[:5], **drawn)


def test_same_seed_same_table():
    pd.testing.assert_frame_equal(table(), table())
    assert not table()["p_given"].equals(table(seed=1)["p_given"])


@pytest.mark.parametrize(
    "held",
    [np.zeros((N, 0)), np.ones(N), np.full(N, np.nan), [f"id {i}" for i in range(N)], [],
     pd.DataFrame(index=range(N))],
    ids=["no column", "constant", "known nowhere", "names", "nothing", "no table"],
)  # fmt: skip
def test_where_nothing_is_held_fixed_there_is_no_number_and_a_note_says_why(held):
    found = xattn.usage_test(USED, SCORE, LABEL, given=held, permutations=19, bootstrap=19)
    assert np.isnan(found.p_given)
    assert "nothing that is held fixed varies" in found.note


def test_too_few_groups_are_said_to_be_too_few():
    few = slice(0, 20)
    found = xattn.usage_test(
        USED[few], SCORE[few], LABEL[few], given=OTHER[few], permutations=19, bootstrap=19
    )
    assert "fewer than 30 groups" in found.note
