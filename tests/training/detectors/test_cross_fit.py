import numpy as np
import pytest

from xattn.training.detectors.cross_fit import cross_fitted

N = 240
RNG = np.random.default_rng(0)
FLAG = RNG.integers(0, 2, N).astype(float)
LABEL = RNG.integers(0, 2, N)
GROUP = np.arange(N) // 2
SHOWN = np.concatenate([FLAG[:, None] + RNG.normal(size=(N, 1)), RNG.normal(size=(N, 30))], axis=1)


def scores(activations=SHOWN, flag=FLAG, group=GROUP):
    return cross_fitted(activations, flag, LABEL, group, bootstrap=199)


def test_what_activations_show_is_learned_and_what_they_do_not_is_chance():
    found, blind = scores(), scores(SHOWN[:, 1:])
    assert found.auc > 0.65
    assert found.low < found.auc < found.high
    assert blind.low < 0.5 + 0.1
    assert blind.auc < 0.65
    assert 0 <= blind.reliability < found.reliability < 1
    assert ((found.score > 0) & (found.score < 1)).all()


def test_no_image_is_scored_by_a_detector_that_saw_it_or_its_group():
    """Columns that name each group would tell every flag, if the group had been seen."""
    own = np.eye(N // 2)[GROUP] * 50
    pairs = np.repeat(RNG.integers(0, 2, N // 2), 2).astype(float)
    assert scores(own, pairs).auc < 0.6
    assert scores(own, pairs, np.arange(N)).auc > 0.8  # as it would be with groups forgotten


def test_images_that_nobody_flagged_are_scored_too():
    flag = FLAG.copy()
    flag[:40] = np.nan
    found = scores(flag=flag)
    assert found.flagged + found.without == N - 40
    assert np.isfinite(found.score).all()
    seen, shown = found.score[:40], FLAG[:40] == 1
    assert seen[shown].mean() > seen[~shown].mean()


def test_same_seed_same_scores():
    np.testing.assert_array_equal(scores().score, scores().score)


def test_a_score_that_is_the_flag_is_wholly_reliable():
    assert scores(np.concatenate([20 * FLAG[:, None], SHOWN], axis=1)).reliability == pytest.approx(
        1, abs=0.2
    )
