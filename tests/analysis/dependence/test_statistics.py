import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chi2_contingency, rankdata, spearmanr

from xattn.analysis.dependence.cross_products import feature_embedding, prediction_embedding
from xattn.analysis.dependence.decisions import find_statistic
from xattn.analysis.dependence.ranks import centred_within, ranks_within
from xattn.analysis.dependence.registry import STATISTICS
from xattn.errors import UsageError
from xattn.stats.columns import as_column

LABEL = np.repeat([0, 1], [40, 25])
ROWS = np.arange(65)


def centring(n):
    return np.eye(n) - 1 / n


def observed(name, feature, score, label=LABEL):
    rows = np.arange(len(label))
    scores = np.asarray(score, float).reshape(len(label), -1)
    identity = rows[None].astype(np.int32)
    return find_statistic(name).permuted([as_column(feature)], rows, scores, label, identity)[0, 0]


def test_ranks_are_modified_ridits_within_each_label():
    ranks = ranks_within(np.array([3.0, 1.0, 3.0, 9.0]), np.array([0, 0, 0, 1]))
    assert ranks == pytest.approx([2.5 / 4, 1 / 4, 2.5 / 4, 1 / 2])


def test_ranks_equal_scipys_label_by_label_with_ties():
    rng = np.random.default_rng(9)
    values, label = rng.integers(0, 5, (80, 2)).astype(float), rng.integers(0, 3, 80)
    ranks = ranks_within(values, label)
    for number in range(3):
        some = label == number
        expected = rankdata(values[some], axis=0) / (some.sum() + 1)
        assert ranks[some] == pytest.approx(expected)
    assert ranks_within(np.zeros((0, 2)), np.zeros(0, int)).shape == (0, 2)


def test_centring_leaves_exact_zeros_where_nothing_varies():
    values = np.full((6, 1), 0.1)
    values[3:] = 0.7
    assert (centred_within(values, np.array([0, 0, 0, 1, 1, 1])) == 0).all()


def test_rank_statistic_of_one_label_is_spearmans_correlation_squared():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 65))
    expected = spearmanr(x, y + x).statistic ** 2
    assert observed("rank", x, y + x, np.zeros(65, int)) == pytest.approx(expected)


def test_rank_statistic_adds_over_labels_and_then_squares():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 65))
    u, v = (ranks_within(z, LABEL) for z in (x, y))
    rows = LABEL
    cross = a = b = 0.0
    for label in (0, 1):
        du, dv = (z[rows == label] - z[rows == label].mean() for z in (u, v))
        cross, a, b = cross + du @ dv, a + du @ du, b + dv @ dv
    assert observed("rank", x, y) == pytest.approx(cross**2 / (a * b))


@pytest.mark.parametrize(
    ("name", "kernel", "tolerance"),
    [
        ("dcor", lambda d: -d, 0.06),
        ("hsic", lambda d: np.exp(-0.25 * d**2), 0.002),
    ],
)
def test_kernel_statistics_equal_the_full_matrices_they_stand_for(name, kernel, tolerance):
    rng = np.random.default_rng(2)
    x = rng.normal(size=65)
    y = x**2 + 0.3 * rng.normal(size=65)
    top, bottom, rows = 0.0, 0.0, LABEL
    scale = ndtri if name == "hsic" else np.asarray
    for label in (0, 1):
        some = rows == label
        n = some.sum()
        K, L = (
            centring(n) @ kernel(np.abs(u[:, None] - u)) @ centring(n)
            for u in (scale(ranks_within(z, LABEL)[some]) for z in (x, y))
        )
        top += (K * L).sum() / n
        bottom += np.linalg.norm(K) * np.linalg.norm(L) / n
    assert observed(name, x, y) == pytest.approx(top / bottom, rel=tolerance)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_permuting_rows_of_the_prediction_equals_computing_from_permuted_scores(name):
    rng = np.random.default_rng(3)
    score = rng.normal(size=(65, 2))
    feature = [rng.normal(size=65), rng.integers(0, 2, 65), rng.choice(list("abc"), 65)]
    feature.append(rng.normal(size=(65, 3)))
    index = np.array(
        [np.concatenate([rng.permutation(40), 40 + rng.permutation(25)]) for _ in "12"]
    )
    columns = [as_column(f) for f in feature]
    fast = find_statistic(name).permuted(columns, ROWS, score, LABEL, index.astype(np.int32))
    for p, order in enumerate(index):
        for f, values in enumerate(feature):
            assert fast[p, f] == pytest.approx(observed(name, values, score[order]))


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_statistics_lie_between_none_and_one_and_ignore_monotone_changes(name):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 65))
    assert 0 <= observed(name, x, y) < 0.5
    assert observed(name, x, x) == pytest.approx(1)
    assert observed(name, np.exp(x), y**3) == pytest.approx(observed(name, x, y))


def test_chi2_of_one_label_is_pearsons_statistic_up_to_a_constant():
    rng = np.random.default_rng(7)
    x, y, label = rng.integers(0, 2, 65), rng.normal(size=65), np.zeros(65, int)
    index = np.array([rng.permutation(65) for _ in range(5)], np.int32)
    found = find_statistic("chi2").permuted([as_column(x)], ROWS, y[:, None], label, index)[:, 0]
    quarter = (ranks_within(y, label) * 4).astype(int)
    wanted = [
        chi2_contingency(np.histogram2d(x, quarter[order], (2, 4))[0], correction=False).statistic
        for order in index
    ]
    assert found / found[0] == pytest.approx(np.array(wanted) / wanted[0])


def test_shared_neighbours_are_counted_edge_by_edge():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, 65))
    both = all_edges = 0
    for label in (0, 1):
        some = np.flatnonzero(label == LABEL)
        u, v = (ranks_within(z, LABEL)[some] for z in (x, y))
        for i in range(len(some)):
            near_v = np.lexsort((np.arange(len(some)), np.abs(v - v[i])))
            near_v = [j for j in near_v if j != i][:10]
            d = np.delete(np.abs(u - u[i]), i)
            last = np.sort(d)[9]
            for j in near_v:
                far = abs(u[j] - u[i])
                tied = np.isclose(d, last).sum()
                fraction = (10 - (d < last - 1e-9).sum()) / tied
                both += 1 if far < last - 1e-9 else fraction if np.isclose(far, last) else 0
                all_edges += 1
    assert observed("nearest-neighbour", x, y) == pytest.approx(both / all_edges, rel=0.02)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_a_feature_that_only_differs_between_labels_has_no_statistic(name):
    assert np.isnan(observed(name, LABEL, np.random.default_rng(5).normal(size=65)))
    assert np.isnan(observed(name, np.random.default_rng(5).normal(size=65), LABEL))


def test_a_nominal_feature_is_tested_by_kruskal_and_wallis_sums():
    rng = np.random.default_rng(6)
    values, y = rng.choice(list("abc"), 65), rng.normal(size=65)
    v = centred_within(ranks_within(y, LABEL)[:, None], LABEL)[:, 0]
    wanted = sum(v[values == k].sum() ** 2 / (values == k).sum() for k in "abc")
    stat = find_statistic("rank")
    embedded = feature_embedding(stat, as_column(values), ROWS, LABEL)
    cross = embedded.T @ prediction_embedding(stat, y[:, None], LABEL)
    assert (cross**2).sum() == pytest.approx(wanted)


def test_an_unknown_statistic_is_refused_by_name():
    with pytest.raises(UsageError, match="did you mean 'rank'"):
        find_statistic("rnk")
