import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from threadpoolctl import ThreadpoolController

from xattn.analysis.dependence.given.encoding import encode, standardised
from xattn.analysis.dependence.given.residuals import FOLDS, Residuals, each_by_each
from xattn.stats.columns import as_column
from xattn.stats.folds import assign_folds

N = 400
RNG = np.random.default_rng(1)
LABEL = RNG.integers(0, 2, N)
GROUP = np.repeat(np.arange(N // 2), 2)
X = RNG.normal(size=(N, 3))


def residuals(learner="ridge", values=X):
    features = [encode(as_column(column)) for column in values.T]
    return Residuals(features, LABEL, assign_folds(GROUP, LABEL, FOLDS, 0), learner)


def test_ridge_is_what_scikit_learn_gives_with_the_same_penalty_and_folds():
    """The slow twin: each fold fitted by itself, the penalty chosen on unseen images."""
    found = residuals()
    y = standardised(X[:, :1] ** 2 + LABEL[:, None] + RNG.normal(size=(N, 1)))
    held = [0, 2]
    columns = [np.ones((N, 1)), found.by_label]
    for k in held:
        one = found.features[k]
        columns += [one.linear, one.bends, 0.7 * each_by_each(one.linear, found.by_label)]
    design = np.concatenate(columns, axis=1)
    left = []
    for penalty in (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3):
        mine = np.empty(N)
        for k in range(FOLDS):
            inside = found.fold != k
            model = Ridge(penalty * inside.sum(), fit_intercept=False)
            model.fit(design[inside], y[inside, 0])
            mine[~inside] = y[~inside, 0] - model.predict(design[~inside])
        left.append(mine)
    error = np.square(left).mean(axis=1)
    best = left[int(np.argmax(error <= 1.01 * error.min()))]  # the least biased that is as good
    np.testing.assert_allclose(found.of(y, held).values[:, 0], best, atol=1e-5)


def test_residuals_of_an_image_do_not_know_its_own_value():
    y = RNG.normal(size=(N, 1))
    found = residuals()
    moved = y.copy()
    moved[0] += 1e3
    change = found.of(moved, [0, 1, 2]).values - found.of(y, [0, 1, 2]).values
    own_fold = np.flatnonzero(found.fold == found.fold[0])
    assert change[0, 0] == pytest.approx(1e3, rel=0.3)  # another penalty may be chosen
    others = own_fold[own_fold != 0]
    assert np.abs(change[others]).max() < 5


def test_trees_take_off_what_no_column_bends_to_and_are_left_out_where_they_do_not_help():
    product = (X[:, 0] * X[:, 1])[:, None] + 0.3 * RNG.normal(size=(N, 1))
    left = {
        name: residuals(name).of(product, [0, 1, 2]).values.var() for name in ("ridge", "boosting")
    }
    assert left["boosting"] < 0.7 * left["ridge"]
    noise = RNG.normal(size=(N, 1))
    np.testing.assert_array_equal(
        residuals("boosting").of(noise, [0, 1, 2]).values,
        residuals("ridge").of(noise, [0, 1, 2]).values,
    )


def test_rows_with_a_gap_have_no_residual_and_change_no_other():
    y = X[:, :1] + RNG.normal(size=(N, 1))
    gap = y.copy()
    gap[:7] = np.nan
    found = residuals().of(gap, [1]).values
    assert np.isnan(found[:7]).all()
    assert np.isfinite(found[7:]).all()


def test_features_are_held_fixed_unbent_where_there_are_few_images_to_learn_from():
    wide = residuals(values=RNG.normal(size=(N, 60)))
    assert wide._design.shape[1] == 2 + 60


def test_that_a_value_is_missing_is_held_fixed_too_whether_features_bend_or_not():
    gaps = RNG.random(N) < 0.4
    y = standardised((gaps + 0.3 * RNG.normal(size=N))[:, None])
    for others in (0, 60):  # with 60 there are too many columns to bend
        values = np.column_stack([np.where(gaps, np.nan, X[:, 0]), RNG.normal(size=(N, others))])
        assert residuals(values=values).of(y, [0]).values.var() < 0.5


@pytest.mark.parametrize(("worth", "threads"), [(N + 1, 1), (N, 2)])
def test_trees_of_few_images_grow_on_one_thread_and_the_number_comes_back(
    monkeypatch, worth, threads
):
    seen = []
    grow = HistGradientBoostingRegressor.fit

    def fit(trees, *given):
        seen.append(_openmp_threads())
        return grow(trees, *given)

    monkeypatch.setattr("xattn.analysis.dependence.given.residuals._WORTH_THREADS", worth)
    monkeypatch.setattr("xattn.analysis.dependence.given.residuals._ROUNDS", 1)
    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", fit)
    with ThreadpoolController().limit(limits=2, user_api="openmp"):
        residuals("boosting").of(X[:, :1], [1, 2])
        assert set(seen) == {threads}
        assert _openmp_threads() == 2


def _openmp_threads():
    """Return the threads of the library that scikit-learn's trees compute with."""
    (pool,) = {
        one["num_threads"]
        for one in ThreadpoolController().info()
        if one["user_api"] == "openmp" and "scikit_learn" in one["filepath"]
    }
    return pool
