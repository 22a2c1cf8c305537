"""The usage test: the whole table beside its bare matrix products, and one test beside KCI."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.harness import Ratio, Table, interleave
from xattn.analysis.dependence import statistics
from xattn.analysis.dependence.cross_products import (
    CrossProducts,
    feature_embedding,
    prediction_embedding,
)
from xattn.analysis.dependence.decisions import find_decision, find_statistic
from xattn.analysis.dependence.table import negative_controls, usage_table
from xattn.analysis.dependence.usage import usage_test, usage_tests
from xattn.stats.codes import label_slices
from xattn.stats.columns import Column, as_column

YES_NO, NUMBERS, NAMES = 12, 15, 3
"""How many of the thirty features are of each kind: artifacts, areas and ages, sites."""


def usage_test_table(n: int = 5000, rounds: int = 5) -> Table:
    """Compare the default table of 30 features with the bare products of its statistics."""
    columns, score, label = _data(n)
    draws = usage_table(columns, score, label).attrs["permutations"]
    baseline = "bare products"
    candidates = {
        baseline: bare_products(columns, score, label, draws),
        "whole table": lambda: usage_table(columns, score, label),
        "whole table without intervals": lambda: usage_table(columns, score, label, bootstrap=0),
    }
    note = (
        f"{YES_NO} yes/no features, {NUMBERS} numbers, {NAMES} of five names and the two "
        f"controls; 999 permutations asked for, {draws:,} drawn, as many rows ask for; "
        "1,000 bootstrap replicates. Bare are the matrix products of the three statistics alone."
    )
    ratios = interleave(baseline, candidates, rounds)
    return Table(f"Usage test, n = {n:,}, bare products = 1", {"table": ratios}, note)


def kci_table(n: int = 2000, rounds: int = 1) -> Table:
    """Compare a usage test with KCI and GCM of the same number, score and label."""
    import pandas as pd
    from causallearn.utils.KCI.KCI import KCI_CInd
    from pgmpy.ci_tests import GCM

    columns, score, label = _data(n)
    number = columns[YES_NO]
    x, condition = number.values[:, None], np.eye(2)[label]
    baseline, table = "causal-learn KCI", "xattn, in a table of 30"
    frame = pd.DataFrame({"x": number.values, "y": score, "label": label})
    candidates = {
        baseline: lambda: KCI_CInd().compute_pvalue(x, score[:, None], condition),
        table: lambda: usage_tests(columns, score, label),
        f"{table}, without intervals": lambda: usage_tests(columns, score, label, bootstrap=0),
        "xattn, a feature by itself": lambda: usage_test(number, score, label),
        "pgmpy GCM, linear": lambda: GCM(frame, use_cache=False).run_test("x", "y", ["label"]),
    }
    usage_test(number, score, label)  # KCI has nothing to warm up
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = interleave(baseline, candidates, rounds, warmup=0)
    each = [r if table not in r.name else _divided(r, len(columns)) for r in ratios]
    note = (
        "KCI with its default kernels and its gamma approximation; ours with its default of 999 "
        "permutations and effect sizes; KCI has no intervals. In a table: the time of all over 30. "
        "GCM takes two linear regressions, and sees what is linear and nothing else."
    )
    return Table(f"One usage test, n = {n:,}, one KCI test = 1", {"one test": each}, note)


def _divided(ratio: Ratio, parts: int) -> Ratio:
    return Ratio(ratio.name, ratio.median / parts, ratio.low / parts, ratio.high / parts)


def _data(n: int) -> tuple[list[Column], NDArray[np.float64], NDArray[np.intp]]:
    """Draw 30 features, scores and two labels of n images."""
    rng = np.random.default_rng(0)
    label = (rng.random(n) < 0.3).astype(np.intp)
    score = rng.normal(size=n) + label
    yes_no = [rng.random(n) < 0.3 for _ in range(YES_NO)]
    numbers = [rng.normal(size=n) for _ in range(NUMBERS)]
    names = [rng.choice(list("abcde"), n) for _ in range(NAMES)]
    columns = [as_column(v, f"f{i}") for i, v in enumerate([*yes_no, *numbers, *names])]
    return columns, score, label


def bare_products(
    columns: list[Column], score: NDArray[np.float64], label: NDArray[np.intp], draws: int
) -> Callable[[], object]:
    """Return a function that does the matrix products of the default statistics and nothing else.

    For each statistic of the decision (rank, dcor, hsic) let A (n, K) be the embeddings of all
    features and controls side by side, and q the number of columns of the prediction's embedding
    (1, 6, 6). The statistics of 1 + P permutations are then sums of squares of q products
    (1 + P, n) by (n, K): here in float64, label by label where the statistic is squared by label,
    and in the same chunks of permutations as the test takes. The left sides are one block of
    random numbers, made beforehand: neither drawing the permutations, nor gathering the permuted
    predictions, nor squaring, nor ranking, nor any effect size is counted as bare.
    """
    order = np.argsort(label, kind="stable")
    every = [*columns, *negative_controls(label, 0)]
    rng = np.random.default_rng(0)
    products = []
    for name in find_decision("min-p").tests:
        statistic = find_statistic(name)
        assert isinstance(statistic, CrossProducts)
        features = [feature_embedding(statistic, c, order, label[order]) for c in every]
        everything = np.concatenate(features, axis=1)
        q = prediction_embedding(statistic, score[order][:, None], label[order]).shape[1]
        strata = label_slices(label[order]) if statistic.per_label else [slice(0, len(label))]
        size = max(1, statistics._PRODUCT // (q * len(label)))
        products.append((rng.normal(size=(q, size, len(label))), everything, strata))

    def run() -> None:
        for moved, everything, strata in products:
            size = moved.shape[1]
            for start in range(0, 1 + draws, size):
                some = moved[:, : min(size, 1 + draws - start)]
                for rows in strata:
                    some[:, :, rows] @ everything[rows]

    return run
