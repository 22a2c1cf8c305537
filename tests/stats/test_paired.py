import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from xattn.stats.paired import auc_influence, clustered_mcnemar, delong, exact_mcnemar_p


def hits(n, seeds=1, fraction=0.75, seed=0):
    return np.random.default_rng(seed).random((seeds, n)) < fraction


@pytest.mark.parametrize("seed", range(4))
def test_with_one_seed_and_no_groups_it_is_mcnemars_exact_test(seed):
    a, b = hits(200, fraction=0.8, seed=seed), hits(200, fraction=0.7, seed=seed + 100)
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    got = clustered_mcnemar(a, b, np.arange(200))
    assert got.p_value == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=1e-12)
    assert got.difference == pytest.approx(a.mean() - b.mean())
    assert got.effect == pytest.approx(table[0][1] / table[1][0])


def test_of_independent_images_it_is_the_binomial_test_of_what_differs():
    first = np.array([True] * 9 + [False] * 3)
    second = np.array([True] * 2 + [False] * 9 + [True])
    assert exact_mcnemar_p(first, second) == pytest.approx(binomtest(1, 8).pvalue)
    assert np.isnan(exact_mcnemar_p(first[:0], first[:0]))


def test_groups_are_exchanged_whole():
    """Four groups of three images, one model right on all: 2 of 16 patterns, not of 4096."""
    a, b = np.ones((1, 12), bool), np.zeros((1, 12), bool)
    assert clustered_mcnemar(a, b, np.repeat(np.arange(4), 3)).p_value == pytest.approx(2 / 16)
    assert clustered_mcnemar(a, b, np.arange(12)).p_value == pytest.approx(2 / 4096)


def test_seeds_are_averaged():
    a, b = hits(100, 3), hits(100, 2, seed=1)
    got = clustered_mcnemar(a, b, np.arange(100))
    assert got.difference == pytest.approx(a.mean() - b.mean())
    assert got.low < got.difference < got.high
    doubled = clustered_mcnemar(np.repeat(a, 2, axis=0), np.repeat(b, 2, axis=0), np.arange(100))
    assert doubled.p_value == pytest.approx(got.p_value, abs=1e-11)


def test_models_that_are_right_on_the_same_images_do_not_differ():
    a = hits(50)
    assert clustered_mcnemar(a, a, np.arange(50)).p_value == 1.0


def slow_delong(x, y):
    """Components of DeLong, DeLong and Clarke-Pearson (1988), pair by pair."""
    won = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    return won.mean(axis=1), won.mean(axis=0)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_covariance_are_delongs(ties):
    rng = np.random.default_rng(0)
    positive = rng.random(120) < 0.3
    scores = rng.normal(size=(3, 120)) + positive
    scores = np.round(scores) if ties else scores
    auc, influence = auc_influence(scores, positive, np.arange(120))
    assert auc == pytest.approx([roc_auc_score(positive, s) for s in scores])
    parts = [slow_delong(s[positive], s[~positive]) for s in scores]
    above, below = (np.stack(part) for part in zip(*parts, strict=True))
    expected = np.cov(above) / positive.sum() + np.cov(below) / (~positive).sum()
    assert influence @ influence.T == pytest.approx(expected)


def test_copies_of_images_in_their_group_add_nothing():
    """Obuchowski's variance sees groups; DeLong's would halve with every copy."""
    rng = np.random.default_rng(1)
    positive = rng.random(200) < 0.4
    scores = rng.normal(size=(2, 200)) + positive
    _, once = auc_influence(scores, positive, np.arange(200))
    twice = [np.repeat(x, 2, axis=-1) for x in (scores, positive, np.arange(200))]
    _, copied = auc_influence(*twice)
    assert copied @ copied.T == pytest.approx(once @ once.T, rel=1e-9)


def test_groups_with_both_classes_are_counted():
    """The bootstrap over groups is the slow twin."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(80), 4)
    shared = rng.normal(size=80)[group]
    positive = rng.random(320) < 0.5
    scores = np.stack([shared * k + rng.normal(size=320) + positive for k in (1.0, 0.5)])
    _, influence = auc_influence(scores, positive, group)
    rows = np.arange(320).reshape(80, 4)
    drawn = []
    for _ in range(600):
        some = rows[rng.integers(0, 80, 80)].reshape(-1)
        drawn.append([roc_auc_score(positive[some], s[some]) for s in scores])
    errors = np.sqrt((influence**2).sum(axis=1))
    assert errors == pytest.approx(np.std(drawn, axis=0), rel=0.12)


def test_delong_of_the_same_scores_finds_nothing_and_of_one_group_is_not_tested():
    rng = np.random.default_rng(3)
    positive = np.arange(40) % 2 == 0
    scores = rng.normal(size=(2, 40))
    auc, influence = auc_influence(scores, positive, np.arange(40))
    assert delong(auc[:1], auc[:1], influence[:1], influence[:1], 40).p_value == 1.0
    auc, influence = auc_influence(scores, positive, np.zeros(40, int))
    assert np.isnan(delong(auc[:1], auc[1:], influence[:1], influence[1:], 40).p_value)
