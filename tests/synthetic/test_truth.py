from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import Table2x2

from xattn.synthetic import FEATURES, TRAITS, Plan
from xattn.synthetic.truth import describe


@pytest.fixture(scope="module")
def told() -> tuple[dict, list]:
    plan = Plan(seed=3, positive_rate=0.3)
    specs = [plan.draw(i) for i in range(150)]
    return describe(plan, specs, (192, 256)), specs


def test_the_truth_counts_images_labels_and_groups(told):
    truth, specs = told
    assert truth["n"] == 150
    assert truth["labels"] == {
        label: sum(spec.label == label for spec in specs) for label in ("benign", "malignant")
    }
    assert truth["groups"] == len({spec.group for spec in specs}) < 150
    assert set(truth["variables"]) == {*FEATURES, *TRAITS, "sex"}


@pytest.mark.parametrize("name", FEATURES)
def test_log_odds_ratios_agree_with_statsmodels(told, name):
    truth, specs = told
    y = np.array([spec.label == "malignant" for spec in specs])
    x = np.array([name in spec.present for spec in specs])
    table = np.array([[(x & y).sum(), (~x & y).sum()], [(x & ~y).sum(), (~x & ~y).sum()]])
    reference = Table2x2(table + 0.5, shift_zeros=False)
    row = truth["variables"][name]
    assert row["log_odds_ratio"] == pytest.approx(reference.log_oddsratio, abs=1e-4)
    assert row["standard_error"] == pytest.approx(reference.log_oddsratio_se, abs=1e-4)
    assert row["present"] == {"benign": table[1, 0], "malignant": table[0, 0]}


def test_one_label_alone_has_no_mean_of_the_other():
    plan = Plan(positive_rate=0.0)
    truth = describe(plan, [plan.draw(i) for i in range(5)], (64, 64))
    assert truth["variables"]["age"]["realised_mean"]["malignant"] is None
    assert truth["labels"] == {"benign": 5, "malignant": 0}
