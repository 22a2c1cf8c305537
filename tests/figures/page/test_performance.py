import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from xattn.figures.page.performance import performance, wilson

CLASSES = ["benign", "malignant"]


def predictions(*cells: tuple[str | None, str, int]) -> pd.DataFrame:
    rows = [(label, predicted) for label, predicted, n in cells for _ in range(n)]
    return pd.DataFrame(rows, columns=["label", "predicted"])


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (519, 2594)])
def test_wilson_agrees_with_statsmodels(hits, n):
    low, high = proportion_confint(hits, n, method="wilson")
    rate = wilson(hits, n)
    assert rate.value == hits / n
    assert (rate.low, rate.high) == pytest.approx((low, high))


def test_balanced_accuracy_is_the_mean_recall_whatever_the_class_sizes():
    table = predictions(
        ("benign", "benign", 90), ("benign", "malignant", 10),
        ("malignant", "malignant", 5), ("malignant", "benign", 5),
    )  # fmt: skip
    scores = performance(table, CLASSES)
    assert scores.balanced_accuracy.value == pytest.approx(0.7)
    assert scores.chance == 0.5
    assert scores.n == 110
    assert scores.confusion.loc["benign", "malignant"] == 10


def test_a_class_without_images_does_not_count():
    table = predictions(("a", "a", 4), ("b", "c", 4))
    scores = performance(table, ["a", "b", "c"])
    assert scores.balanced_accuracy.value == 0.5
    assert scores.chance == 0.5
    assert list(scores.confusion.columns) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "table",
    [
        predictions((None, "benign", 5)),
        predictions(("benign", "benign", 5)),
        predictions(("nevus", "benign", 5), ("benign", "benign", 5)),
    ],
    ids=["no label", "one class", "labels of another vocabulary"],
)
def test_without_two_labelled_classes_there_is_no_performance(table):
    assert performance(table, CLASSES) is None


@pytest.mark.slow
def test_the_interval_covers_the_truth_in_about_95_of_100_samples():
    rng, recalls, sizes, repeats = np.random.default_rng(0), (0.95, 0.7), (300, 40), 400
    covered = 0
    for _ in range(repeats):
        hits = [rng.binomial(n, p) for n, p in zip(sizes, recalls, strict=True)]
        cells = [
            ("benign", "benign", hits[0]), ("benign", "malignant", sizes[0] - hits[0]),
            ("malignant", "malignant", hits[1]), ("malignant", "benign", sizes[1] - hits[1]),
        ]  # fmt: skip
        rate = performance(predictions(*cells), CLASSES).balanced_accuracy
        covered += rate.low <= np.mean(recalls) <= rate.high
    # Binomial(400, 0.95): 4.5 standard deviations to either side.
    assert abs(covered / repeats - 0.95) < 0.05
