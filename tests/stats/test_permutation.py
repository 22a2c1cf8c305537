import itertools
from collections import Counter

import numpy as np
import pytest

from xattn.stats.permutation import within_label_permutations

LABEL = np.array(["b", "m", "b", "b", "m", "b", "m", "b"])


def test_every_row_is_a_permutation_that_keeps_the_label():
    drawn = within_label_permutations(LABEL, n_permutations=50, seed=1)
    assert drawn.index.shape == (50, 8)
    assert drawn.index.dtype == np.int32
    assert (np.sort(drawn.index, axis=1) == np.arange(8)).all()
    assert (LABEL[drawn.index] == LABEL).all()
    assert drawn.kept.all()
    assert drawn.dropped == ()


def test_within_a_label_every_row_goes_everywhere_equally_often():
    drawn = within_label_permutations(np.zeros(5), n_permutations=20_000, seed=2)
    counts = np.stack([np.bincount(drawn.index[:, j], minlength=5) for j in range(5)])
    # Binomial(20000, 1/5) has sd 57: five of them in 25 cells.
    assert np.abs(counts - 4000).max() < 5 * 57


def test_all_orders_are_equally_likely():
    drawn = within_label_permutations(np.zeros(3), n_permutations=12_000, seed=3)
    counts = Counter(map(tuple, drawn.index.tolist()))
    assert set(counts) == set(itertools.permutations(range(3)))
    assert max(abs(c - 2000) for c in counts.values()) < 5 * np.sqrt(12_000 * 5 / 36)


def test_groups_move_as_wholes_to_groups_of_the_same_make_up():
    label = np.array([0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0])
    group = np.array(["p", "p", "p", "q", "q", "q", "r", "r", "s", "s", "t", "u"])
    drawn = within_label_permutations(label, group, 200, seed=4)
    for row in drawn.index:
        moved = group[row]
        for g in set(group):
            assert len(set(moved[group == g])) == 1  # its places are all taken by one group
        assert (label[row] == label).all()
        assert set(moved[group == "p"]) <= {"p", "q"}
        assert set(moved[group == "r"]) <= {"r", "s"}
        assert set(moved[group == "t"]) <= {"t", "u"}


def test_rows_in_a_group_are_matched_label_by_label_in_the_order_they_come():
    label = np.array([1, 0, 0, 0, 1, 0])
    group = np.array([0, 0, 0, 1, 1, 1])
    drawn = within_label_permutations(label, group, 20, seed=5)
    swapped = drawn.index[(drawn.index != np.arange(6)).any(axis=1)]
    assert len(swapped)
    assert (swapped == [4, 3, 5, 1, 0, 2]).all()


def test_a_stratum_of_one_block_is_dropped_and_named():
    label = np.array(["benign"] * 5 + ["malignant"] * 3)
    group = np.array([0, 1, 2, 3, 3, 4, 4, 4])
    drawn = within_label_permutations(label, group, 30, seed=6)
    assert sorted(map(str, drawn.dropped)) == ["2 benign", "3 malignant"]
    assert sorted(s.images for s in drawn.dropped) == [2, 3]
    assert drawn.kept.tolist() == [True] * 3 + [False] * 5
    assert (drawn.index[:, 3:] == np.arange(3, 8)).all()


def test_kept_rows_are_numbered_anew_with_the_identity_first():
    label = np.array(["a", "b", "a", "a"])
    drawn = within_label_permutations(label, n_permutations=10, seed=7)
    inner = drawn.of_kept()
    assert inner.shape == (11, 3)
    assert inner[0].tolist() == [0, 1, 2]
    rows = np.flatnonzero(drawn.kept)
    assert (rows[inner[1:]] == drawn.index[:, drawn.kept]).all()


def test_a_missing_group_is_a_group_of_its_own():
    label = np.zeros(6)
    group = np.array(["a", "a", "b", "b", None, None], dtype=object)
    drawn = within_label_permutations(label, group, 500, seed=8)
    assert set(drawn.index[:, 4]) == {4, 5}
    assert not drawn.dropped


def test_the_smallest_p_is_that_of_the_permutations_there_are():
    assert within_label_permutations(np.zeros(50), None, 99).smallest_p == 0.01
    assert within_label_permutations([0, 0, 0, 1, 1], None, 99).smallest_p == pytest.approx(1 / 12)
    assert within_label_permutations([0, 1], None, 99).smallest_p == 1


def test_same_seed_same_permutations():
    first, again = (within_label_permutations(LABEL, None, 20, 9).index for _ in range(2))
    other = within_label_permutations(LABEL, None, 20, 10).index
    assert (first == again).all()
    assert (first != other).any()


def test_the_test_is_exact_when_all_permutations_are_counted():
    # Two labels of three rows: 36 orders. Over all equally likely data, P(p <= k/36) <= k/36.
    feature = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 5.0])
    score = np.array([3.0, 1.0, 2.0, 0.0, 4.0, 6.0])
    orders = [
        np.array([*a, *(3 + i for i in b)])
        for a in itertools.permutations(range(3))
        for b in itertools.permutations(range(3))
    ]
    statistic = np.array([feature @ score[order] for order in orders])
    exact = np.array([(statistic >= s).mean() for s in statistic])
    for k in range(1, 37):
        assert (exact <= k / 36 + 1e-12).mean() <= k / 36 + 1e-12
    # Drawn permutations estimate that p-value.
    drawn = within_label_permutations([0, 0, 0, 1, 1, 1], None, 20_000, seed=11)
    sampled = (feature @ score[drawn.index].T >= feature @ score).mean()
    assert sampled == pytest.approx((statistic >= feature @ score).mean(), abs=0.02)


def test_no_rows_give_no_permutations_of_nothing():
    drawn = within_label_permutations([], None, 5)
    assert drawn.index.shape == (5, 0)
    assert drawn.smallest_p == 1


@pytest.mark.parametrize(
    ("label", "groups", "message"),
    [(["a", None], None, "label for every row"), (["a", "b"], [1], "2 groups")],
)
def test_missing_labels_and_too_few_groups_are_refused(label, groups, message):
    with pytest.raises(ValueError, match=message):
        within_label_permutations(label, groups)
