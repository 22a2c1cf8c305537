import numpy as np
import pytest

from xattn.analysis.dependence.information import (
    conditional_information,
    feature_bins,
    quantile_bins,
)
from xattn.stats.columns import as_column
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import drawn_weights


def slow_plug_in(feature, prediction, label, weight):
    """Conditional mutual information in bits of weighted counts, cell by cell."""
    bits = 0.0
    for y in set(label):
        some = label == y
        total = weight[some].sum()
        for f in set(feature):
            for p in set(prediction):
                both = weight[some & (feature == f) & (prediction == p)].sum()
                if both:
                    a = weight[some & (feature == f)].sum()
                    b = weight[some & (prediction == p)].sum()
                    bits += both * np.log2(both * total / (a * b))
    return bits / weight.sum()


def planted(rng, n, strength):
    label = np.sort(rng.integers(0, 2, n))
    feature = rng.integers(0, 2, n)
    prediction = quantile_bins(rng.normal(size=n) + strength * feature + label, label)
    return feature, prediction, label


def test_estimate_is_the_plug_in_minus_its_mean_under_permutation():
    rng = np.random.default_rng(0)
    feature, prediction, label = planted(rng, 80, 1.0)
    index = within_label_permutations(label, None, 10, 1).index
    found = conditional_information([feature], prediction, label, index, None)
    one = np.ones(80)
    excess = np.mean([slow_plug_in(feature, prediction[i], label, one) for i in index])
    assert found.bits[0] == pytest.approx(slow_plug_in(feature, prediction, label, one) - excess)
    assert np.isnan(found.low).all()


def test_interval_is_the_basic_bootstrap_of_weighted_counts():
    rng = np.random.default_rng(1)
    feature, prediction, label = planted(rng, 60, 1.0)
    index = within_label_permutations(label, None, 5, 1).index
    weights = drawn_weights(np.repeat(np.arange(30), 2), 60, 50, 2)
    found = conditional_information([feature], prediction, label, index, weights)
    slow = np.array([slow_plug_in(feature, prediction, label, w) for w in weights])
    low, high = np.quantile(slow - slow.mean(), [0.025, 0.975])
    assert found.low[0] == pytest.approx(found.bits[0] - high)
    assert found.high[0] == pytest.approx(found.bits[0] - low)


def test_several_features_are_estimated_as_each_alone():
    rng = np.random.default_rng(2)
    feature, prediction, label = planted(rng, 90, 1.0)
    other = rng.integers(0, 4, 90)
    index = within_label_permutations(label, None, 20, 3).index
    weights = drawn_weights(None, 90, 30, 4)
    both = conditional_information([feature, other], prediction, label, index, weights)
    for i, one in enumerate([feature, other]):
        alone = conditional_information([one], prediction, label, index, weights)
        assert (both.bits[i], both.low[i]) == (
            pytest.approx(alone.bits[0]),
            pytest.approx(alone.low[0]),
        )


def test_a_copy_of_the_prediction_has_its_entropy_given_the_label():
    label = np.repeat([0, 1], 400)
    score = np.tile(np.arange(400.0), 2)
    bins = quantile_bins(score, label)
    index = within_label_permutations(label, None, 50, 5).index
    found = conditional_information([bins], bins, label, index, None)
    assert found.bits[0] == pytest.approx(np.log2(bins.max() + 1), abs=0.05)


def test_quantile_bins_are_as_many_as_the_label_can_fill_and_of_equal_size():
    label = np.repeat([0, 1], [500, 60])
    bins = quantile_bins(np.random.default_rng(6).normal(size=560), label)
    assert np.bincount(bins[:500]).tolist() == [100] * 5
    assert np.bincount(bins[500:]).tolist() == [30, 30]


def test_categories_and_truth_values_are_their_own_bins():
    label = np.zeros(4, dtype=int)
    rows = np.arange(4)
    assert feature_bins(as_column([1, 0, 0, 1]), rows, label).tolist() == [1, 0, 0, 1]
    assert feature_bins(as_column(list("bcab")), rows, label).tolist() == [1, 2, 0, 1]
