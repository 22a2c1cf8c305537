from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kruskal

from xattn.training.search.importance import importances


def test_what_matters_is_above_chance_and_what_does_not_is_not():
    rng = np.random.default_rng(0)
    lr, width = rng.uniform(-5, -1, 60), rng.integers(2, 9, 60)
    stages = rng.choice(["[3]", "[4]", "[3, 4]"], 60)
    metric = -((lr + 3) ** 2) + rng.normal(0, 0.3, 60)  # best in the middle: no rank correlation
    columns = {"width": width.tolist(), "lr": lr.tolist(), "stages": stages.tolist()}
    found = importances(columns, metric.tolist())

    assert found[0].key == "lr"
    above = {one.key: one.share > one.chance for one in found}
    assert above == {"lr": True, "width": False, "stages": False}
    assert found == importances(columns, metric.tolist())


def test_the_fraction_of_choices_is_kruskals_statistic():
    rng = np.random.default_rng(1)
    choice = rng.choice(["a", "b", "c"], 40)
    metric = rng.integers(0, 9, 40) / 10 + (choice == "a") * 0.2  # with ties
    (one,) = importances({"x": choice.tolist()}, metric.tolist())
    h = kruskal(*(metric[choice == name] for name in "abc")).statistic
    assert one.share == pytest.approx(h / 39)


def test_the_chance_level_is_crossed_by_one_search_in_twenty():
    rng = np.random.default_rng(2)
    crossed = []
    for _ in range(200):
        (one,) = importances({"x": rng.uniform(size=20).tolist()}, rng.uniform(size=20).tolist())
        crossed.append(one.share > one.chance)
    assert 0.01 < np.mean(crossed) < 0.1  # four standard deviations of a binomial


def test_few_trials_or_equal_ones_say_nothing():
    assert importances({"x": list(range(9))}, list(range(9))) == []
    assert importances({"x": list(range(12))}, [0.5] * 12) == []
    (one,) = importances({"x": [0.1] * 12}, list(range(12)))  # one value alone explains nothing
    assert one.share == one.chance == 0
