import numpy as np
import pytest
from scipy import stats

from xattn.analysis.groups.auc_gap import delong_p
from xattn.analysis.groups.rates import Outcomes


def sample(n=120, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth, present = rng.integers(0, 2, n), rng.random(n) < 0.4
    score = rng.normal(size=n).round(1) + truth * (1 + shift * present)
    said = Outcomes(truth, (score > 0).astype(int), np.stack([-score, score], 1), ["b", "m"], 1)
    return said, present


def slow_area(score, truth):
    """DeLong's AUC and variance by the kernel matrix, image by image."""
    inside, outside = score[truth == 1], score[truth == 0]
    kernel = (inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)
    variance = kernel.mean(1).var(ddof=1) / len(inside) + kernel.mean(0).var(ddof=1) / len(outside)
    return kernel.mean(), variance


@pytest.mark.parametrize("seed", range(3))
def test_it_is_delongs_test_of_two_independent_samples(seed):
    said, present = sample(seed=seed, shift=0.7)
    score = said.scores[:, 1]
    (a, va), (b, vb) = (slow_area(score[s], said.truth[s]) for s in (present, ~present))
    expected = 2 * stats.norm.sf(abs(a - b) / np.sqrt(va + vb))
    assert delong_p(said, present, np.arange(120)) == pytest.approx(expected)


def test_images_of_one_group_count_once():
    said, present = sample(shift=2.0)
    twice = np.repeat(np.arange(120), 2)
    doubled = said.subset(twice)
    own = delong_p(said, present, np.arange(120))
    assert delong_p(doubled, present[twice], twice) == pytest.approx(own, rel=1e-6)
    assert delong_p(doubled, present[twice], np.arange(240)) < own / 3


def test_a_side_without_a_class_gives_no_number():
    said, present = sample()
    assert np.isnan(delong_p(said, present & (said.truth == 1), np.arange(120)))


def test_more_classes_are_taken_against_the_rest():
    rng = np.random.default_rng(0)
    truth, present = rng.integers(0, 3, 200), rng.random(200) < 0.5
    scores = rng.normal(size=(200, 3)) + np.eye(3)[truth] * np.where(present, 3, 0.3)[:, None]
    three = Outcomes(truth, scores.argmax(1), scores, list("abc"), 2)
    assert delong_p(three, present, np.arange(200)) < 1e-6
    assert delong_p(three, rng.random(200) < 0.5, np.arange(200)) > 0.001
