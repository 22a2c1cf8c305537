import dataclasses

import numpy as np
import pytest

from xattn.analysis.dependence.usage import usage_test, usage_tests
from xattn.errors import UsageError
from xattn.stats.columns import as_column

RNG = np.random.default_rng(0)
N = 200
LABEL = RNG.choice(["benign", "malignant"], N, p=[0.7, 0.3])
RULER = RNG.integers(0, 2, N)
NOISE = RNG.normal(size=N)
SCORE = RNG.normal(size=N) + 2 * (LABEL == "malignant")
QUICK = {"permutations": 199, "bootstrap": 50}


def test_a_feature_that_moves_the_score_is_found():
    result = usage_test(RULER, SCORE + RULER, LABEL, **QUICK)
    assert result.p_value == result.smallest_p == 1 / 200
    assert result.rank_effect > 0.3
    assert 0 < result.effect_low < result.effect_bits < result.effect_high
    assert result.n == result.groups == N
    assert result.test == "min-p(presence)"
    assert 0 < result.variance_low < result.variance_share < result.variance_high < 1


def test_a_feature_known_only_through_the_label_is_not():
    follows = (LABEL == "malignant").astype(int) ^ (RNG.random(N) < 0.2)
    assert abs(np.corrcoef(follows, SCORE)[0, 1]) > 0.4  # what forgetting the label would find
    result = usage_test(follows, SCORE, LABEL, **QUICK)
    assert result.p_value > 0.05
    assert result.effect_low < 0


def test_scores_of_two_classes_may_come_as_probabilities():
    p = 1 / (1 + np.exp(-SCORE - RULER))
    logits = usage_test(RULER, SCORE + RULER, LABEL, **QUICK)
    assert usage_test(RULER, np.stack([1 - p, p], 1), LABEL, **QUICK) == logits


def test_probabilities_of_several_classes_are_tested_together():
    logits = RNG.normal(size=(N, 4))
    logits[:, 2] += RULER
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert usage_test(RULER, p, LABEL, **QUICK).p_value == 1 / 200
    assert usage_test(NOISE, p, LABEL, **QUICK).p_value > 0.01


def test_missing_values_leave_out_their_images_only():
    feature = RULER.astype(float)
    feature[:50] = np.nan
    label = LABEL.astype(object)
    label[50:60] = None
    score = SCORE.copy()
    score[60:65] = np.nan
    assert usage_test(feature, score, label, **QUICK).n == N - 65


def test_images_of_one_group_count_once_however_many_they_are():
    groups = np.repeat(np.arange(N // 10), 10)
    feature = np.repeat(RNG.integers(0, 2, N // 10), 10)
    score = np.repeat(RNG.normal(size=N // 10), 10) + 0.01 * NOISE
    label = np.repeat(["benign", "malignant"], N // 2)
    together = usage_test(feature, score, label, groups, **QUICK)
    apart = usage_test(feature, score, label, **QUICK)
    assert together.groups == N // 10
    assert together.p_value > apart.p_value


def test_groups_without_a_like_are_dropped_and_counted():
    groups = np.arange(N).astype(object)
    groups[:3] = "three"
    result = usage_test(RULER, SCORE, LABEL, groups, **QUICK)
    assert result.n == N - 3
    assert len(result.strata_dropped) == 1
    assert result.strata_dropped[0].images == 3
    assert result.to_row()["strata_dropped"] == 1


@pytest.mark.parametrize(
    ("feature", "score", "label"),
    [(np.ones(N), SCORE, LABEL), (LABEL == "benign", SCORE, LABEL), (RULER, np.ones(N), LABEL)],
    ids=["constant", "the label itself", "constant prediction"],
)
def test_what_never_varies_within_a_label_gets_no_number(feature, score, label):
    result = usage_test(feature, score, label, **QUICK)
    assert result.note == "constant within every label"
    assert np.isnan([result.p_value, result.statistic, result.effect_bits]).all()


def test_what_cannot_be_permuted_gets_no_number():
    result = usage_test([1, 0], [0.1, 0.2], ["a", "b"], **QUICK)
    assert (result.n, result.smallest_p) == (0, 1)
    assert "can take the place" in result.note
    assert np.isnan(result.p_value)


def test_features_tested_together_come_out_as_each_alone():
    columns = [as_column(RULER, "ruler"), as_column(NOISE, "noise"), as_column(LABEL, "label")]
    columns.append(as_column(np.where(NOISE > 1, np.nan, NOISE), "gaps"))
    together = usage_tests(columns, SCORE, LABEL, **QUICK)
    for column, result in zip(columns, together, strict=True):
        alone = usage_tests([column], SCORE, LABEL, **QUICK)[0]
        assert result.feature == column.feature
        assert result.to_row() == pytest.approx(alone.to_row(), nan_ok=True)


def test_order_of_rows_changes_nothing_but_the_draw():
    order = RNG.permutation(N)
    first = usage_test(RULER, SCORE, LABEL, tests=("rank",), **QUICK)
    other = usage_test(RULER[order], SCORE[order], LABEL[order], tests=("rank",), **QUICK)
    assert first.statistic == pytest.approx(other.statistic)
    assert first.rank_effect == pytest.approx(other.rank_effect)


def test_same_seed_same_result():
    assert usage_test(RULER, SCORE, LABEL, **QUICK) == usage_test(RULER, SCORE, LABEL, **QUICK)
    other = usage_test(RULER, SCORE, LABEL, seed=1, **QUICK)
    assert other != usage_test(RULER, SCORE, LABEL, **QUICK)


def test_few_groups_get_no_interval():
    groups = np.arange(N) % 4
    label = np.array(["a", "b"])[np.arange(N) // 4 % 2]
    result = usage_test(RULER, SCORE, label, groups, **QUICK)
    assert result.groups == 4
    assert np.isnan(result.effect_low)
    assert np.isfinite(result.effect_bits)


def test_several_tests_are_combined_into_one_p_value():
    u_shaped = (SCORE - 2 * (LABEL == "malignant")) ** 2
    result = usage_test(u_shaped, SCORE, LABEL, tests=("rank", "dcor", "hsic"), **QUICK)
    assert result.test == "min-p(value)"
    assert set(result.p_by_test) == {"rank", "dcor", "hsic"}
    assert result.p_by_test["rank"] > 0.05
    assert result.p_value <= 3 / 200


def test_a_feature_of_several_numbers_is_tested_as_one():
    colours = RNG.normal(size=(N, 3))
    moved = usage_test(colours, SCORE + 0.7 * colours[:, 1], LABEL, **QUICK)
    assert (moved.test, moved.p_value) == ("min-p(value)", 1 / 200)
    assert usage_test(colours, SCORE, LABEL, **QUICK).p_value > 0.01
    colours[:30, 2] = np.nan
    assert usage_test(colours, SCORE, LABEL, **QUICK).n == N - 30


def test_a_majority_of_tests_rejects_where_their_median_p_value_does():
    result = usage_test(RULER, SCORE + RULER, LABEL, decision="majority", **QUICK)
    assert result.test == "majority(presence)"
    assert set(result.p_by_test) == {"hsic", "random-feature", "nearest-neighbour"}
    assert result.p_value == np.median(list(result.p_by_test.values()))


@pytest.mark.parametrize("feature", [RULER, NOISE, np.ones(N)], ids=["used", "noise", "constant"])
def test_early_stopping_ends_where_a_slow_loop_would(feature):
    full = usage_test(feature, SCORE + RULER, LABEL, tests=("rank",), **QUICK)
    early = usage_test(feature, SCORE + RULER, LABEL, tests=("rank",), early_stopping=10, **QUICK)
    assert early.statistic == pytest.approx(full.statistic, nan_ok=True)
    if full.p_value * 200 <= 10:  # never stopped: the observed one counts among the 200
        assert early.p_value == full.p_value
    elif full.p_value > 0:
        assert early.p_value == pytest.approx(full.p_value, abs=0.25)
        assert (10 / early.p_value) % 1 == pytest.approx(0, abs=1e-6)
    assert early.effect_bits == pytest.approx(full.effect_bits, nan_ok=True)


def test_early_stopping_of_several_tests_is_refused():
    with pytest.raises(UsageError, match="name one"):
        usage_test(RULER, SCORE, LABEL, early_stopping=10)


def test_the_result_is_frozen():
    result = usage_test(RULER, SCORE, LABEL, **QUICK)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.p_value = 0.0


def test_a_statistic_decides_alone_by_its_name():
    alone = usage_test(RULER, SCORE + RULER, LABEL, decision="rank", **QUICK)
    named = usage_test(RULER, SCORE + RULER, LABEL, tests=("rank",), **QUICK)
    assert alone.test == named.test
    assert alone.p_value == named.p_value


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="did you mean 'majority'"):
        usage_test(RULER, SCORE, LABEL, decision="majorty")
    with pytest.raises(UsageError, match="Unknown statistic"):
        usage_test(RULER, SCORE, LABEL, tests=("rnk",))
    with pytest.raises(ValueError, match="one a label, but got 3"):
        usage_test(RULER[:3], SCORE, LABEL)
    with pytest.raises(ValueError, match="shape"):
        usage_test(RULER, np.zeros((N, 2, 2)), LABEL)


def test_a_notebook_shows_the_verdict_with_effect_and_interval():
    column = as_column(RULER, feature="<ruler>")
    found = usage_test(column, SCORE + 2 * RULER, LABEL, **QUICK)
    shown = found._repr_html_()
    assert "depends on it given the label" in shown
    assert f"{found.effect_bits:.3g} bits (95 % interval {found.effect_low:.3g}" in shown
    assert "&lt;ruler&gt;" in shown
    assert "no dependence" in usage_test(NOISE, SCORE, LABEL, **QUICK)._repr_html_()


def test_a_notebook_says_why_nothing_was_tested():
    shown = usage_test(np.ones(N), SCORE, LABEL, **QUICK)._repr_html_()
    assert "not tested: constant within every label" in shown
    assert "nan" not in shown
