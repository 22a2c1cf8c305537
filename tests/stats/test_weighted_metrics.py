from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from xattn.stats.weighted_metrics import auc, resampled, score, sensitivities


def predictions(n: int = 200, classes: int = 2, seed: int = 0, strength: float = 1.0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(classes, 0, -1) / sum(range(classes + 1)))
    logits = rng.normal(size=(n, classes)).round(1)  # rounded: ties
    logits[np.arange(n), labels] += strength
    return logits, labels


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_equal_scikit_learns(classes: int):
    logits, labels = predictions(classes=classes)
    one = np.ones((1, len(labels)))
    prob = softmax(logits)

    fractions = sensitivities(logits, labels, one)[0]
    assert fractions == pytest.approx(recall_score(labels, logits.argmax(1), average=None))
    assert fractions.mean() == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    # Ties of logit differences survive rounding in both.
    reference = prob[:, 1].round(12) if classes == 2 else prob.round(12)
    assert auc(logits, labels, one)[0] == pytest.approx(
        roc_auc_score(labels, reference, multi_class="ovr"), abs=2e-3
    )


def test_whole_weights_are_repeated_images():
    logits, labels = predictions(60, classes=3)
    weights = np.random.default_rng(1).integers(0, 4, (5, 60)).astype(float)
    for one in weights:
        again = np.repeat(np.arange(60), one.astype(int))
        plain = np.ones((1, len(again)))
        for measure in (sensitivities, auc):
            assert measure(logits, labels, one[None])[0] == pytest.approx(
                measure(logits[again], labels[again], plain)[0]
            )


def test_auc_of_ties_is_one_half_and_of_perfect_order_is_one():
    labels = np.array([0, 0, 1, 1])
    one = np.ones((1, 4))
    assert auc(np.zeros((4, 2)), labels, one)[0] == 0.5
    ordered = np.stack([np.zeros(4), [1.0, 2, 3, 4]], 1)
    assert auc(ordered, labels, one)[0] == 1.0
    assert auc(-ordered, labels, one)[0] == 0.0


def test_auc_sees_order_where_probabilities_round_to_one():
    logits = np.stack([np.zeros(4), [100.0, 200, 300, 400]], 1)
    assert auc(logits, np.array([0, 0, 1, 1]), np.ones((1, 4)))[0] == 1.0


def test_a_class_without_weight_gives_nan():
    logits, labels = predictions(20)
    weights = (labels == 0)[None].astype(float)
    assert np.isnan(auc(logits, labels, weights)[0])
    assert np.isnan(sensitivities(logits, labels, weights)[0, 1])


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Truth by construction: strength 1 gives P(margin > 0) in the limit of a large sample.
    big_logits, big_labels = predictions(200_000, seed=99)
    truth = sensitivities(big_logits, big_labels, np.ones((1, 200_000)))[0].mean()
    hits = 0
    for seed in range(100):
        logits, labels = predictions(150, seed=seed)
        found = score(logits, labels, ("a", "b"), range(150), seed=seed, resamples=400)
        hits += found.balanced_accuracy.low <= truth <= found.balanced_accuracy.high
    assert 88 <= hits <= 100  # 95 of 100, three standard deviations


def test_images_of_one_group_are_not_independent_evidence():
    logits, labels = predictions(40)
    copies = np.repeat(np.arange(40), 10)
    alone = score(logits[copies], labels[copies], ("a", "b"), range(400))
    grouped = score(logits[copies], labels[copies], ("a", "b"), copies.tolist())
    single = score(logits, labels, ("a", "b"), range(40))

    def width(scores):
        return scores.auc.high - scores.auc.low

    assert grouped.groups == 40
    assert width(grouped) == pytest.approx(width(single), rel=0.2)
    assert width(grouped) > 2 * width(alone)


def test_same_seed_same_interval():
    logits, labels = predictions()
    a, b, c = (score(logits, labels, ("a", "b"), range(200), seed=s) for s in (1, 1, 2))
    assert a == b
    assert a != c


def test_resamples_come_in_chunks_of_bounded_size():
    chunks = list(resampled(range(5000), 900, 0))
    assert len(chunks) > 1
    assert sum(len(chunk) for chunk in chunks) == 900
    assert all((chunk.sum(1) == 5000).all() for chunk in chunks)


def test_a_row_names_every_score_with_its_interval():
    logits, labels = predictions(50, classes=3)
    row = score(logits, labels, ("x", "y", "z"), range(50), resamples=50).to_row()
    assert row["chance"] == pytest.approx(1 / 3)
    for name in ("balanced_accuracy", "auc", "sensitivity_x", "sensitivity_z"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
