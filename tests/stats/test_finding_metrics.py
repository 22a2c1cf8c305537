"""Independent findings are scored one by one, over what is known, and by their means."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from xattn.stats.finding_metrics import mean_scores, measured, score_findings

NAMES = ["effusion", "mass", "edema"]


@pytest.fixture
def made():
    """Logits (200, 3) and answers of which a fifth is not known."""
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 3)) < [0.5, 0.2, 0.1]).astype(np.int8)
    logits = truth + rng.normal(-0.5, 1, truth.shape)
    return logits, np.where(rng.random(truth.shape) < 0.2, -1, truth).astype(np.int8)


def test_each_finding_has_scikit_learns_scores_over_what_is_known(made):
    logits, answers = made
    halves, areas = measured(logits, answers, np.ones((1, len(answers))))
    for c in range(3):
        known = answers[:, c] >= 0
        truth, value = answers[known, c], logits[known, c]
        assert areas[0, c] == pytest.approx(roc_auc_score(truth, value))
        assert halves[0, c] == pytest.approx(balanced_accuracy_score(truth, value > 0))


def test_weights_count_images_as_often_as_they_are_drawn(made):
    logits, answers = made
    drawn = np.random.default_rng(1).multinomial(200, np.full(200, 1 / 200))
    halves, areas = measured(logits, answers, drawn[None].astype(float))
    rows = np.repeat(np.arange(200), drawn)
    twice = measured(logits[rows], answers[rows], np.ones((1, 200)))
    np.testing.assert_allclose([halves, areas], twice)


def test_a_finding_that_all_images_share_counts_in_no_mean(made):
    logits, answers = made
    answers[:, 2] = np.where(answers[:, 2] > 0, -1, answers[:, 2])
    scores = score_findings(logits, answers, NAMES, list(range(200)), resamples=200)
    assert np.isnan(scores.findings["edema"].auc.value)
    kept = [scores.findings[name].auc.value for name in NAMES[:2]]
    assert scores.auc.value == pytest.approx(np.mean(kept))
    assert mean_scores(logits, answers)[1] == pytest.approx(scores.auc.value)
    assert scores.findings["mass"].n == (answers[:, 1] >= 0).sum()
    assert scores.findings["mass"].shown == (answers[:, 1] == 1).sum()


def test_an_interval_holds_the_value_and_is_wider_for_fewer_groups(made):
    logits, answers = made
    alone = score_findings(logits, answers, NAMES, list(range(200)), resamples=400).auc
    fours = np.repeat(np.arange(50), 4)
    four_alike = logits[fours * 4], answers[fours * 4]
    together = score_findings(*four_alike, NAMES, fours.tolist(), resamples=400).auc
    assert alone.low < alone.value < alone.high
    assert together.high - together.low > alone.high - alone.low


def test_nothing_to_score_has_no_scores():
    scores = score_findings(np.zeros((4, 1)), np.full((4, 1), -1, np.int8), ["mass"], [1, 2, 3, 4])
    assert np.isnan(scores.auc.value)
    assert np.isnan(mean_scores(np.zeros((4, 1)), np.zeros((4, 1), np.int8))).all()


def test_a_row_holds_the_means_and_each_finding(made):
    row = score_findings(*made, NAMES, list(range(200)), resamples=50).to_row()
    assert {"auc", "auc_low", "balanced_accuracy", "chance"} <= set(row)
    for name in NAMES:
        assert {f"n_{name}", f"shown_{name}", f"auc_{name}", f"auc_{name}_high"} <= set(row)
