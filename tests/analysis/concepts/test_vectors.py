"""Concept vectors, separability and sensitivity against slow twins."""

from __future__ import annotations

import numpy as np
import pytest

from xattn.analysis.concepts.vectors import (
    FOLDS,
    concept_vectors,
    folds_of,
    projected,
    pushes,
    sensitivity,
    sensitivity_interval,
    separability,
    separability_interval,
)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    n = 120
    label = rng.integers(0, 3, n)
    group = np.arange(n) // 2
    activations = rng.normal(3, 1, (n, 7)).astype(np.float32) + label[:, None].astype(np.float32)
    gradients = rng.normal(0, 1, (n, 7)).astype(np.float32)
    presence = rng.random((4, n)) < 0.3 + 0.1 * label
    return activations, gradients, presence, label, group, folds_of(label, group, 0)


def test_groups_stay_in_one_fold_and_labels_are_spread_over_all(drawn):
    *_, label, group, fold = drawn
    for g in np.unique(group):
        assert len(set(fold[group == g])) == 1
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 2
    assert (np.bincount(label * FOLDS + fold, minlength=3 * FOLDS) >= 4).all()


def slow_vector(a, x, label, rows):
    """The weighted mean, over labels, of the difference of two means."""
    moved, weight = np.zeros(a.shape[1]), 0.0
    for y in np.unique(label):
        mine = [i for i in rows if label[i] == y]
        inside, outside = [i for i in mine if x[i]], [i for i in mine if not x[i]]
        if inside and outside:
            w = len(inside) * len(outside) / len(mine)
            moved += w * (a[inside].mean(axis=0) - a[outside].mean(axis=0))
            weight += w
    return moved / weight


def test_a_vector_is_the_difference_of_means_within_labels_of_the_other_folds(drawn):
    activations, _, presence, label, _, fold = drawn
    found = concept_vectors(activations, presence, label, fold)
    a = activations.astype(float)
    for m in range(len(presence)):
        for f in range(FOLDS):
            expected = slow_vector(a, presence[m], label, np.flatnonzero(fold != f))
            np.testing.assert_allclose(found[m, f], expected, atol=1e-5)


def test_a_property_of_the_label_alone_is_no_part_of_a_vector(drawn):
    activations, _, presence, label, _, fold = drawn
    moved = activations + 100 * np.eye(3)[label].astype(np.float32) @ np.ones((3, 7), np.float32)
    np.testing.assert_allclose(
        concept_vectors(activations, presence, label, fold),
        concept_vectors(moved, presence, label, fold), atol=1e-4,
    )  # fmt: skip


def test_separability_counts_pairs_of_one_label_and_fold(drawn):
    activations, _, presence, label, _, fold = drawn
    vectors = concept_vectors(activations, presence, label, fold)
    s = projected(activations, vectors, fold)
    s[1] = np.round(s[1])  # ties
    found = separability(s, presence, label * FOLDS + fold)
    for m, x in enumerate(presence):
        won, pairs = 0.0, 0
        for i in np.flatnonzero(x):
            for j in np.flatnonzero(~x):
                if (label[i], fold[i]) == (label[j], fold[j]):
                    won += (s[m, i] > s[m, j]) + (s[m, i] == s[m, j]) / 2
                    pairs += 1
        assert found[m] == pytest.approx(won / pairs)
        assert s[m, 5] == pytest.approx(activations[5] @ vectors[m, fold[5]], abs=0.51)
    one = np.ones((3, len(label)))
    low, high = separability_interval(s[1], presence[1], label * FOLDS + fold, one)
    assert low == high == pytest.approx(found[1])


def test_the_derivative_is_the_mean_of_each_images_gradient_along_its_vector(drawn):
    """But for the number of images that each fold's vector is divided by: a few per cent."""
    activations, gradients, presence, label, group, fold = drawn
    rng = np.random.default_rng(1)
    gradients = gradients + rng.normal(2, 0.1, 7).astype(np.float32)
    vectors = concept_vectors(activations, presence, label, fold)
    slow = projected(gradients, vectors, fold).mean(axis=1)
    push = pushes(activations, gradients, fold)
    slope, _ = sensitivity(push, presence, label, group)
    np.testing.assert_allclose(slope, slow, atol=0.1 * np.abs(slow).max())
    low, high = sensitivity_interval(push, presence[0], label, np.ones((3, len(label))))
    assert low == high == pytest.approx(slope[0])


def test_the_standard_error_is_that_of_a_regression_with_clusters(drawn):
    import statsmodels.api as sm

    activations, gradients, presence, label, group, fold = drawn
    push = pushes(activations, gradients, fold)
    slope, studentised = sensitivity(push, presence, label, group)
    design = np.column_stack([presence[2], *(label == y for y in range(3))]).astype(float)
    fit = sm.OLS(push, design).fit(
        cov_type="cluster", cov_kwds={"groups": group, "use_correction": False}
    )
    assert slope[2] == pytest.approx(fit.params[0])
    assert studentised[2] == pytest.approx(fit.tvalues[0])
