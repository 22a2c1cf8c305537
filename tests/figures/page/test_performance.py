import pandas as pd
import pytest

from xattn.figures.page.performance import (
    COUNTED_SINGLY,
    OVER_GROUPS,
    as_evaluated,
    performance,
)

CLASSES = ["benign", "malignant"]


def predictions(*cells: tuple[str | None, str, int]) -> pd.DataFrame:
    rows = [(label, predicted) for label, predicted, n in cells for _ in range(n)]
    return pd.DataFrame(rows, columns=["label", "predicted"])


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


def evaluated(split="test", n=110, sensitivities=(0.9, 0.5), balanced=0.7):
    """performance.csv of two classes, with limits that no closed form would give."""
    rows = [("balanced_accuracy", "all", balanced)]
    rows += [("sensitivity", c, v) for c, v in zip(CLASSES, sensitivities, strict=True)]
    facts = {"split": split, "domain": "all", "n": n, "low": 0.11, "high": 0.99}
    return pd.DataFrame([{"metric": m, "class": c, "value": v, **facts} for m, c, v in rows])


SCORED = predictions(
    ("benign", "benign", 90), ("benign", "malignant", 10),
    ("malignant", "malignant", 5), ("malignant", "benign", 5),
)  # fmt: skip


def test_one_number_has_one_interval_that_of_the_evaluation():
    scores = as_evaluated(performance(SCORED, CLASSES), evaluated())
    rates = (scores.balanced_accuracy, *scores.recall.values())
    assert {(r.low, r.high) for r in rates} == {(0.11, 0.99)}
    assert [r.value for r in rates] == pytest.approx([0.7, 0.9, 0.5])
    assert scores.intervals == OVER_GROUPS


@pytest.mark.parametrize(
    "table",
    [
        None,
        evaluated(n=109),
        evaluated(balanced=0.71),
        evaluated(sensitivities=(0.8, 0.6)),
        evaluated(split="ood-test"),
        evaluated()[:2],
    ],
    ids=["none", "other images", "other value", "other recalls", "a gap", "a class is missing"],
)
def test_an_evaluation_of_other_images_leaves_the_interval_as_it_is(table):
    scores = performance(SCORED, CLASSES)
    assert as_evaluated(scores, table) == scores
    assert scores.intervals == COUNTED_SINGLY
