import numpy as np
import pandas as pd
import pytest

from xattn.analysis.evaluation.sentences import performance_sentences


def table(*rows):
    """Rows of (split, domain, n, value, low, high) for the metrics that sentences are of."""
    return pd.DataFrame(
        [
            {"split": split, "domain": domain, "metric": metric, "class": "all", "n": n,
             "groups": n, "value": value, "low": low, "high": high, "chance": 0.5}
            for split, domain, n, value, low, high in rows
            for metric in ("balanced_accuracy", "auc", "ece")
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ((-0.1, -0.15, -0.05), "on ood is 0.100 lower than on test (difference -0.150 to -0.050)."),
        ((-0.1, -0.25, 0.05), "show no difference for certain"),
        ((0.1, np.nan, np.nan), "too few groups"),
        ((0.0, -0.1, 0.1), "differs from that on test by less than 0.001"),
        ((0.0, np.nan, np.nan), "by less than 0.001; there are too few groups"),
        ((np.nan, np.nan, np.nan), "a class is missing"),
    ],
)
def test_the_gap_is_said_with_what_it_cannot_tell(gap, words):
    said = performance_sentences(
        table(("test", "all", 10, 0.8, 0.7, 0.9), ("ood-test", "all", 20, *gap))
    )
    assert words in said[-1]


def test_a_domain_that_is_the_whole_split_is_said_once():
    rows = [("ood", "all", 20, 0.8, 0.7, 0.9), ("ood", "x", 20, 0.8, 0.7, 0.9)]
    assert len(performance_sentences(table(*rows))) == 1
    assert len(performance_sentences(table(rows[0], ("ood", "x", 9, 0.8, 0.7, 0.9)))) == 2


def test_a_number_without_an_interval_stands_alone():
    said = performance_sentences(table(("test", "all", 10, 0.8, np.nan, np.nan)))[0]
    assert "balanced accuracy 0.800 (chance 0.50)" in said
