"""All tests of one pair of models on one set of images, and their rows in comparison.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.analysis.comparison.sources import Trained
from xattn.analysis.comparison.testsets import SharedImages
from xattn.analysis.comparison.verdicts import PairFinding, sentence, verdict, verdict_of_belief
from xattn.analysis.evaluation.metrics import LOWER_IS_BETTER
from xattn.stats.adjust import holm
from xattn.stats.paired import clustered_mcnemar, delong
from xattn.stats.two_samples import NAN, Belief, DifferenceTest, Spread, belief, welch, wilcoxon

OVER_IMAGES = {"mcnemar": "accuracy", "delong": "auc"}
"""Tests on the same images, and the metric that each is about."""


@dataclass(frozen=True)
class PairTests:
    """The tests of one pair on one split.

    Attributes:
        a, b, split: what was compared.
        seeds: number of seeds of a and of b.
        over_seeds: metric -> tests over seeds.
        over_images: name -> test on the same images.
    """

    a: str
    b: str
    split: str
    seeds: tuple[int, int]
    over_seeds: Mapping[str, SeedTests]
    over_images: Mapping[str, DifferenceTest]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows of comparison.csv, without what needs all pairs."""
        pair = {"a": self.a, "b": self.b, "split": self.split}
        for metric, tests in self.over_seeds.items():
            yield {**pair, "test": "welch", "metric": metric, **vars(tests.welch)}
            if tests.wilcoxon is not None:
                yield {**pair, "test": "wilcoxon", "metric": metric, **vars(tests.wilcoxon)}
            yield {**pair, "test": "bayes", "metric": metric, **tests.believed(metric)}
        for test, outcome in self.over_images.items():
            yield {**pair, "test": test, "metric": OVER_IMAGES[test], **vars(outcome)}


@dataclass(frozen=True)
class SeedTests:
    """The tests over seeds of one metric; None where there are too few seeds."""

    welch: DifferenceTest
    wilcoxon: DifferenceTest | None
    spread: Spread | None
    belief: Belief | None

    def believed(self, metric: str) -> dict[str, Any]:
        """Return the columns of the Bayesian row.

        Args:
            metric: its name, which says whether lower is better.
        """
        lower, held = metric in LOWER_IS_BETTER, self.belief
        outcome = DifferenceTest(self.welch.difference, n=self.welch.n)
        said = {"verdict": verdict_of_belief(held, lower)}
        if held is None:
            return {**vars(outcome), **said}
        better, worse = (held.below, held.above) if lower else (held.above, held.below)
        chances = {"p_better": better, "p_equivalent": held.within, "p_worse": worse}
        return {**vars(outcome), "low": held.low, "high": held.high, **chances, **said}


def run_tests(
    found: Sequence[Trained],
    tested: SharedImages,
    values: pd.DataFrame,
    metrics: Sequence[str],
    pair: tuple[str, str],
    rope: float,
) -> PairTests:
    """Compare two models on one set of images.

    Args:
        found: the networks, in the order of `tested` and of the rows of `values`.
        tested: what they predict.
        values: one column per metric.
        metrics: columns that are tested over seeds.
        pair: the two models.
        rope: half-width of the region of practical equivalence.

    Returns:
        The tests over seeds and over images.
    """
    of_a, of_b = (np.flatnonzero([one.model == m for one in found]) for m in pair)
    shared = _shared_seeds(found, of_a, of_b)
    auc, influence = tested.areas
    over_images = {
        "mcnemar": clustered_mcnemar(tested.hits[of_a], tested.hits[of_b], tested.group),
        "delong": delong(auc[of_a], auc[of_b], influence[of_a], influence[of_b], len(tested.truth)),
    }
    over_seeds = {}
    for metric in metrics:
        column = values[metric].to_numpy(np.float64)
        x, y = column[of_a], column[of_b]
        over_seeds[metric] = SeedTests(
            welch(x, y),
            wilcoxon(*column[shared].T) if len(shared) else None,
            Spread.of(x, y) if min(len(x), len(y)) >= 2 else None,
            belief(x, y, rope),
        )
    return PairTests(*pair, tested.split, (len(of_a), len(of_b)), over_seeds, over_images)


def comparison_table(
    tests: Sequence[PairTests], rope: float, alpha: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return comparison.csv and the sentence of each pair, split and metric.

    p-values are adjusted by Holm's method within each kind of test, over pairs, splits and
    metrics.

    Args:
        tests: those of all pairs on all splits.
        rope: half-width of the region of practical equivalence, for the sentences.
        alpha: level of the verdicts.
    """
    table = pd.DataFrame([row for one in tests for row in one.rows()])
    chances = ["p_better", "p_equivalent", "p_worse"]
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *chances, "p_adjusted"])))
    for test in set(table["test"]) - {"bayes"}:
        own = table["test"] == test
        table.loc[own, "p_adjusted"] = holm(table.loc[own, "p_value"])
    told, smallest = _tell(tests, table, rope, alpha)
    return _with_verdicts(table, told, smallest, alpha), tuple(told.values())


Place = tuple[str, str, str, str]


def _tell(
    tests: Sequence[PairTests], table: pd.DataFrame, rope: float, alpha: float
) -> tuple[dict[Place, str], dict[Place, float]]:
    """Return the sentence, and the smallest difference to be found, by (a, b, split, metric)."""
    tested = int(((table["test"] == "welch") & table["p_value"].notna()).sum())
    p = table.set_index(["a", "b", "split", "test", "metric"])["p_adjusted"]
    told: dict[Place, str] = {}
    smallest: dict[Place, float] = {}
    for one in tests:
        pair = (one.a, one.b, one.split)
        images = {t: (o, float(p[(*pair, t, OVER_IMAGES[t])])) for t, o in one.over_images.items()}
        for metric, own in one.over_seeds.items():
            # The level of Holm's first step, so that the promise holds in the whole table.
            level = alpha / max(1, tested)
            least = NAN if own.spread is None else own.spread.smallest(level)
            finding = PairFinding(
                *pair, metric, one.seeds, own.welch, float(p[(*pair, "welch", metric)]), least,
                own.belief, rope, images, alpha, metric in LOWER_IS_BETTER,
            )  # fmt: skip
            smallest[(*pair, metric)] = least
            told[(*pair, metric)] = sentence(finding)
    return told, smallest


def _with_verdicts(
    table: pd.DataFrame, told: Mapping[Place, str], smallest: Mapping[Place, float], alpha: float
) -> pd.DataFrame:
    """Add verdict, smallest and conclusion; rows over images carry the first metric's sentence."""
    first: dict[tuple[str, ...], str] = {}
    for place, text in told.items():
        first.setdefault(place[:3], text)
    added = []
    for row in table.to_dict("records"):
        place = (row["a"], row["b"], row["split"], row["metric"])
        over_images = row["test"] in OVER_IMAGES
        lower = row["metric"] in LOWER_IS_BETTER
        bayes = row["test"] == "bayes"
        added.append(
            {
                "verdict": row["verdict"]
                if bayes
                else verdict(row["difference"], row["p_adjusted"], alpha, lower),
                "smallest": NAN if over_images else smallest[place],
                "conclusion": first[place[:3]] if over_images else told[place],
            }
        )
    return table.assign(**pd.DataFrame(added, index=table.index))


def _shared_seeds(
    found: Sequence[Trained], of_a: NDArray[np.intp], of_b: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the networks of both models that share a seed, (pairs, 2)."""
    by_seed = {found[j].seed: j for j in of_b if found[j].seed is not None}
    both = [(i, by_seed[found[i].seed]) for i in of_a if found[i].seed in by_seed]
    return np.array(both, dtype=np.intp).reshape(-1, 2)
