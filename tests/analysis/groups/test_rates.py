import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from xattn.analysis.groups.rates import Outcomes, weighted_auc


def outcomes(n=80, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes)).round(1)  # rounded: ties
    scores[np.arange(n), truth] += 0.8
    scores = scores if classes > 2 else scores - scores[:, ::-1]
    names = [f"c{i}" for i in range(classes)]
    return Outcomes(truth, scores.argmax(axis=1), scores, names, classes - 1)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_auc_equals_sklearns_with_ties_and_weights(seed):
    rng = np.random.default_rng(seed)
    score, positive = rng.integers(0, 6, 50).astype(float), rng.random(50) < 0.4
    weights = rng.integers(0, 4, (3, 50)).astype(np.float32)
    expected = [roc_auc_score(positive, score, sample_weight=w) for w in weights]
    assert weighted_auc(weights, positive, score) == pytest.approx(expected)


def test_metrics_of_two_classes_equal_those_of_repeated_images():
    two = outcomes()
    weights = np.random.default_rng(1).integers(0, 3, (4, 80)).astype(np.float32)
    found = two.weighted(weights)
    assert list(two.metrics()) == ["balanced_accuracy", "tpr", "fpr", "auc"]
    for k, weight in enumerate(weights.astype(int)):
        t, p, s = (np.repeat(x, weight, axis=0) for x in (two.truth, two.predicted, two.scores))
        assert found[k] == pytest.approx(
            [
                balanced_accuracy_score(t, p),
                (p[t == 1] == 1).mean(),
                (p[t == 0] == 1).mean(),
                roc_auc_score(t, s[:, 1]),
            ]
        )


def test_metrics_of_three_classes_are_macro_and_one_against_the_rest():
    three = outcomes(classes=3)
    found = dict(zip(three.metrics(), three.weighted(np.ones((1, 80), np.float32))[0], strict=True))
    t, p = three.truth, three.predicted
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(t, p))
    areas = [roc_auc_score(t == i, three.scores[:, i]) for i in range(3)]
    assert found["auc"] == pytest.approx(np.mean(areas))
    for i in range(3):
        assert found[f"tpr[c{i}]"] == pytest.approx((p[t == i] == i).mean())
        assert found[f"fpr[c{i}]"] == pytest.approx((p[t != i] == i).mean())


def test_the_positive_class_may_be_the_first():
    two = outcomes()
    turned = Outcomes(two.truth, two.predicted, two.scores, two.classes, positive=0)
    one = np.ones((1, 80), np.float32)
    a = dict(zip(two.metrics(), two.weighted(one)[0], strict=True))
    b = dict(zip(two.metrics(), turned.weighted(one)[0], strict=True))
    assert b["tpr"] == pytest.approx(1 - a["fpr"])
    assert b["fpr"] == pytest.approx(1 - a["tpr"])
    assert b["auc"] == pytest.approx(a["auc"])


def test_a_class_without_weight_makes_what_needs_it_nan():
    two = outcomes()
    weights = (two.truth == 0).astype(np.float32)[None]
    found = dict(zip(two.metrics(), two.weighted(weights)[0], strict=True))
    assert np.isnan([found["balanced_accuracy"], found["tpr"], found["auc"]]).all()
    assert np.isfinite(found["fpr"])


def test_predictions_of_other_classes_count_as_wrong():
    two = outcomes()
    predicted = np.where(two.truth == 1, -1, two.predicted)
    other = Outcomes(two.truth, predicted, two.scores, two.classes, 1)
    assert other.weighted(np.ones((1, 80), np.float32))[0, 1] == 0
