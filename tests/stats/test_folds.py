import numpy as np

from xattn.stats.folds import assign_folds


def test_folds_keep_groups_whole_and_are_alike_in_size_and_labels():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(200), 2)
    label = (rng.random(200) < 0.2).astype(int)[group]
    fold = assign_folds(group, label, 5, 0)
    assert (fold[::2] == fold[1::2]).all()
    assert np.ptp(np.bincount(fold)) <= 2
    assert np.ptp(np.bincount(fold, label)) <= 2


def test_same_seed_same_folds_and_another_seed_others():
    group = np.arange(50)
    first, again, other = (assign_folds(group, group % 2, 5, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
