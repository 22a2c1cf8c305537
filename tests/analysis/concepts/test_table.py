"""On a network set by hand, what is used, held and unseen come out as such."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.analysis.concepts.hand_set import FEATURES, draw, hand_set, question
from xattn.analysis.concepts.table import concept_table
from xattn.runs import TABLES
from xattn.runs.tables.concepts import ENCODED_ONLY, NEITHER, NOT_TESTED, USED
from xattn.stats.columns import Column

QUICK = {"permutations": 199, "bootstrap": 99}


def table_of(drawn, model, **more):
    layer, asked = drawn.layer(model), question(tuple(model.classes))
    return concept_table(layer, drawn.columns, drawn.label, drawn.group, asked, **QUICK | more)


@pytest.fixture(scope="module", params=[False, True], ids=["straight", "bent"])
def found(request):
    return table_of(draw(400, 1), hand_set(request.param)).set_index("feature")


def test_each_feature_is_what_it_is(found):
    assert found["finding"].to_dict() == {"used": USED, "held": ENCODED_ONLY, "unseen": NEITHER}
    assert set(TABLES["concepts"].always) <= {*found.columns, "feature"}


def test_numbers_are_those_that_were_planted(found):
    """A shift of one standard deviation: an AUC of 0.76, and 20 x 0.1 logits, or twice as much."""
    for name in ("used", "held"):
        row = found.loc[name]
        assert 0.66 < row["auc"] < 0.86
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert 0.45 < row["auc_random"] < 0.55
    used = found.loc["used"]
    assert 1.2 < used["derivative"] < 4.5
    assert used["derivative_low"] < used["derivative"] < used["derivative_high"]
    held = found.loc["held"]
    assert held["derivative_low"] < 0 < held["derivative_high"]
    assert abs(held["derivative"]) < used["derivative_low"]
    assert used["tcav"] == 1.0


def test_signs_tell_nothing_where_the_head_is_straight():
    """Every gradient is the same there, so that a random concept, too, has one sign throughout."""
    found = table_of(draw(400, 1), hand_set()).set_index("feature")
    assert found.loc["held", "tcav_random_low"] == 0
    assert found.loc["held", "tcav_random_high"] == 1


def test_a_feature_that_is_the_label_or_too_rare_is_not_tested_and_says_why():
    drawn = draw(200, 2)
    label = (drawn.label == "malignant").to_numpy(float)
    rare = np.arange(200) < 4.0
    drawn.columns.append(Column("the label", "artifact", "presence", label))
    drawn.columns.append(Column("rare", "artifact", "presence", rare.astype(float)))
    found = table_of(drawn, hand_set()).set_index("feature")
    assert (found.loc[["the label", "rare"], "finding"] == NOT_TESTED).all()
    assert "the label itself" in found.loc["the label", "note"]
    assert "4 images with it" in found.loc["rare", "note"]
    assert found.loc["used", "finding"] == USED


def test_a_feature_that_is_known_of_some_images_is_tested_on_those():
    drawn = draw(400, 3)
    values = drawn.columns[0].values.copy()
    values[::2] = np.nan
    drawn.columns[0] = Column("used", "artifact", "presence", values)
    found = table_of(drawn, hand_set()).set_index("feature")
    assert found.loc["used", "n"] == 200
    assert found.loc["held", "n"] == 400
    assert found.loc["used", "finding"] == USED


def test_a_table_in_which_nothing_can_be_tested_has_all_columns():
    found = table_of(draw(12, 4), hand_set())
    assert set(TABLES["concepts"].always) <= set(found.columns)
    assert (found["finding"] == NOT_TESTED).all()


def test_same_seed_same_table_in_any_order_of_features():
    drawn = draw(150, 5)
    once = table_of(drawn, hand_set()).set_index("feature").loc[list(FEATURES)]
    drawn.columns.reverse()
    again = table_of(drawn, hand_set()).set_index("feature").loc[list(FEATURES)]
    pd.testing.assert_frame_equal(once, again)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bent", "spread", "paired"),
    [(False, 1.0, False), (True, 1.0, False), (False, 3.0, False), (False, 1.0, True)],
)
def test_level_and_power(bent, spread, paired):
    """The table of docs/feature-usage.md."""
    from tests.analysis.concepts.simulate import rates
    from tests.analysis.simulate import band

    found = rates(bent, spread, paired, runs=200)
    low, high = band(0.05, 200)
    assert found["used", "encoded"] > 0.95
    assert found["used", "used"] > 0.8
    assert found["held", "encoded"] > 0.95
    for feature, what in (("held", "used"), ("unseen", "encoded"), ("unseen", "used")):
        assert low <= found[feature, what] <= high, (feature, what, found[feature, what])
