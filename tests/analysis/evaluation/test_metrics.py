from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from xattn.analysis.evaluation.calibration import BINS, equal_mass, equal_width
from xattn.analysis.evaluation.metrics import ALL, Predictions, average_precision, by_guessing


def draw(n_classes=2, n=200, seed=0, skill=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)) + skill * np.eye(n_classes)[truth]
    return Predictions(logits, truth, tuple("abcdefgh"[:n_classes]))


def values(said, weights=None):
    weights = np.ones((1, len(said.truth))) if weights is None else weights
    return dict(zip(said.names, said.weighted(weights)[0], strict=True))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_every_metric_equals_scikit_learns(n_classes):
    said = draw(n_classes)
    got, truth = values(said), said.truth
    p = np.exp(said.log_probabilities)
    predicted = said.logits.argmax(axis=1)
    assert got["balanced_accuracy", ALL] == pytest.approx(
        sk.balanced_accuracy_score(truth, predicted)
    )
    assert got["accuracy", ALL] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert got["log_loss", ALL] == pytest.approx(sk.log_loss(truth, p))
    if n_classes == 2:
        assert got["auc", ALL] == pytest.approx(sk.roc_auc_score(truth, p[:, 1]))
        assert got["average_precision", "b"] == pytest.approx(
            sk.average_precision_score(truth, p[:, 1])
        )
        assert got["brier", ALL] == pytest.approx(np.mean((p[:, 1] - truth) ** 2))
    else:
        assert got["auc", ALL] == pytest.approx(sk.roc_auc_score(truth, p, multi_class="ovr"))
        each = [sk.average_precision_score(truth == c, p[:, c]) for c in range(n_classes)]
        assert got["average_precision", ALL] == pytest.approx(np.mean(each))
        assert got["brier", ALL] == pytest.approx(
            np.mean(((p - np.eye(n_classes)[truth]) ** 2).sum(axis=1))
        )
    for c, name in enumerate(said.classes):
        recall = sk.recall_score(truth == c, predicted == c)
        assert got["sensitivity", name] == pytest.approx(recall)
        assert got["specificity", name] == pytest.approx(
            sk.recall_score(truth != c, predicted != c)
        )
        precision, _, f1, _ = sk.precision_recall_fscore_support(
            truth == c, predicted == c, average="binary"
        )
        assert got["precision", name] == pytest.approx(precision)
        assert got["f1", name] == pytest.approx(f1)
    assert got["f1", ALL] == pytest.approx(sk.f1_score(truth, predicted, average="macro"))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_a_weight_of_two_is_the_image_twice(seed, n_classes):
    said = draw(n_classes, n=60, seed=seed)
    times = np.random.default_rng(seed).integers(0, 4, 60)
    times[np.unique(said.truth, return_index=True)[1]] += 1  # no class is lost
    rows = np.repeat(np.arange(60), times)
    copies = Predictions(said.logits[rows], said.truth[rows], said.classes)
    one, other = values(said, times[None]), values(copies)
    for name in one:
        if name[0] != "ece_adaptive":  # whose bins hold equally many of the images there are
            assert one[name] == pytest.approx(other[name]), name


def test_many_weightings_at_once_are_the_same_as_one_by_one():
    said = draw(3)
    weights = np.random.default_rng(1).integers(0, 3, (7, 200))
    together = said.weighted(weights)
    for row, w in zip(together, weights, strict=True):
        assert row == pytest.approx(said.weighted(w[None])[0])


def test_a_class_without_weight_gives_no_number_where_it_is_needed():
    said = draw(2)
    got = values(said, (said.truth == 0)[None].astype(float))
    for name in [("balanced_accuracy", ALL), ("auc", ALL), ("sensitivity", "b"),
                 ("specificity", "a"), ("average_precision", "b")]:  # fmt: skip
        assert np.isnan(got[name]), name
    assert np.isfinite(got["accuracy", ALL])


def test_means_are_over_the_classes_that_have_images():
    said = draw(3)
    wider = np.insert(said.logits, 1, -50.0, axis=1)
    four = Predictions(wider, np.where(said.truth > 0, said.truth + 1, 0), ("a", "none", "b", "c"))
    got, expected = values(four), values(said)
    chance = dict(zip(four.names, four.chance(), strict=True))
    for metric in ("balanced_accuracy", "auc", "average_precision", "f1"):
        assert got[metric, ALL] == pytest.approx(expected[metric, ALL]), metric
    assert chance["balanced_accuracy", ALL] == pytest.approx(1 / 3)
    for metric in ("sensitivity", "precision", "f1", "auc"):
        assert np.isnan(got[metric, "none"])


def test_a_class_that_is_never_decided_for_has_no_precision_and_an_f1_of_0():
    said = draw(3)
    said.logits[:, 2] = -50.0
    got = values(said)
    assert np.isnan(got["precision", "c"])
    assert (got["f1", "c"], got["sensitivity", "c"]) == (0, 0)


def test_a_decision_may_be_another_than_that_of_the_largest_logit():
    said = draw(2)
    decided = (said.logits[:, 1] > 1).astype(int)
    strict = Predictions(said.logits, said.truth, said.classes, decided)
    got = values(strict)
    assert got["accuracy", ALL] == pytest.approx((decided == said.truth).mean())
    assert got["auc", ALL] == values(said)["auc", ALL]
    assert strict.confidence.min() < 0.5


def test_ties_are_passed_at_once():
    scores = np.array([1.0, 1.0, 1.0, 0.0])
    positive = np.array([True, False, False, True])
    expected = sk.average_precision_score(positive, scores)
    assert average_precision(scores, positive, np.ones((1, 4)))[0] == pytest.approx(expected)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_chance_is_what_a_model_without_knowledge_reaches(n_classes):
    """Labels permuted: every metric comes to its level of chance on average."""
    said = draw(n_classes, n=400)
    rng = np.random.default_rng(0)
    guessed = np.mean(
        [
            Predictions(said.logits, rng.permutation(said.truth), said.classes).weighted(
                np.ones((1, 400))
            )[0]
            for _ in range(60)
        ],
        axis=0,
    )
    for (metric, name), got, chance in zip(said.names, guessed, said.chance(), strict=True):
        if metric not in ("brier", "log_loss", "ece", "ece_adaptive"):
            assert got == pytest.approx(chance, abs=0.02), (metric, name)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_guessing_gives_the_level_of_chance_that_needs_no_images(n_classes):
    said = draw(n_classes)
    chance = dict(zip(said.names, said.chance(), strict=True))
    assert by_guessing(n_classes) == {m: chance[m, ALL] for m in ("balanced_accuracy", "auc")}


def test_chance_of_brier_score_and_log_loss_is_giving_the_frequencies():
    said = draw(3, n=500)
    frequencies = np.bincount(said.truth) / 500
    flat = Predictions(np.log(np.tile(frequencies, (500, 1))), said.truth, said.classes)
    got, chance = values(flat), dict(zip(said.names, said.chance(), strict=True))
    for name in [("brier", ALL), ("log_loss", ALL)]:
        assert got[name] == pytest.approx(chance[name])


def slow_ece(confidence, hit, edges):
    """The definition, bin by bin."""
    total = 0.0
    for k, (a, b) in enumerate(pairwise(edges)):
        inside = (confidence > a if k else confidence >= a) & (confidence <= b)
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - hit[inside].mean())
    return total / len(hit)


@pytest.mark.parametrize("bins", [equal_width, equal_mass])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_calibration_error_is_its_definition(bins, n_classes):
    said = draw(n_classes, n=300)
    binned = bins(said.confidence, said.hit)
    name = {equal_width: "ece", equal_mass: "ece_adaptive"}[bins]
    expected = slow_ece(said.confidence, said.hit, binned.edges)
    assert values(said)[name, ALL] == pytest.approx(expected)


def test_bins_of_equal_mass_hold_equally_many_images_and_at_least_ten():
    said = draw(2, n=1500)
    counts = equal_mass(said.confidence, said.hit).member.sum(axis=0)
    assert counts.tolist() == pytest.approx([100] * BINS, abs=1)
    few = draw(2, n=45)
    assert equal_mass(few.confidence, few.hit).member.sum(axis=0).min() >= 10


def test_every_image_is_in_one_bin_even_at_the_ends():
    confidence = np.array([0.0, 0.5, 1 / 15, 1.0, 1.0])
    for bins in (equal_width, equal_mass):
        member = bins(confidence, np.ones(5, bool)).member
        assert member.sum(axis=1).tolist() == [1] * 5
