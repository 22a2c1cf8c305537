import numpy as np
import pandas as pd
import pytest

from tests.analysis.verdicts.made import (
    ADDS_NOTHING,
    GIVEN,
    NONE,
    NULL,
    OPEN,
    SMALL,
    UNUSED,
    edits,
    usage,
)
from xattn.analysis.verdicts.rules import Limits, Verdict
from xattn.analysis.verdicts.settling import would_settle
from xattn.analysis.verdicts.table import verdict_table
from xattn.runs import TABLES
from xattn.runs.tables import verdicts


@pytest.mark.parametrize(
    ("used", "edited", "verdict"),
    [
        (usage(), edits(), verdicts.CHANGES),
        (usage(**UNUSED), edits(), verdicts.CHANGES),
        (
            usage(),
            edits(excess_logit=-0.05, excess_low=-0.08, excess_high=-0.02),
            verdicts.COMES_WITH,
        ),
        (usage(**UNUSED), edits(excess_logit=-0.05), verdicts.NOT_USED),
        (
            usage(**UNUSED, rank_effect_error=0.2),
            edits(**NULL, excess_low=-0.05, excess_high=0.05),
            verdicts.NOT_USED,
        ),
        (usage(), edits(score_sd=10.0, excess_low=-0.6, excess_high=-0.4), verdicts.COMES_WITH),
        (usage(), edits(flip_rate=0.0), verdicts.HARDLY),
        (usage(), edits(p_mcnemar=0.2), verdicts.HARDLY),
        (usage(), edits(**NULL, excess_low=-0.05, excess_high=0.05), verdicts.COMES_WITH),
        (usage(), edits(**NULL, excess_low=-0.5, excess_high=0.5), verdicts.UNCLEAR),
        (usage(), NONE, verdicts.UNCLEAR),
        (usage(**UNUSED), NONE, verdicts.NOT_USED),
        (usage(**UNUSED, rank_effect_error=0.2), NONE, verdicts.NOT_TESTABLE),
        (usage(p_value=np.nan, p_adjusted=np.nan, used=False), NONE, verdicts.NOT_TESTABLE),
        (NONE, edits(), verdicts.CHANGES),
        (NONE, edits(p_value=np.nan, p_adjusted=np.nan), verdicts.NOT_TESTABLE),
    ],
)
def test_evidence_adds_up_to_a_verdict(used, edited, verdict):
    assert verdict_table(used, edited, NONE)["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("used", "edited", "verdict", "settles"),
    [
        (usage(**GIVEN), NONE, verdicts.BEYOND, "masks"),
        (usage(**SMALL), NONE, verdicts.BEYOND, "masks"),
        (usage(**GIVEN), edits(), verdicts.CHANGES, None),
        (usage(**GIVEN), edits(**NULL, excess_low=-0.05, excess_high=0.05), verdicts.COMES_WITH,
         "a column of what goes with it"),
        (usage(**GIVEN), edits(**NULL, excess_low=-0.5, excess_high=0.5), verdicts.LEFT_OPEN,
         "more images to edit"),
        (usage(**GIVEN, kind="metadata"), NONE, verdicts.BEYOND, "a column"),
        (usage(**ADDS_NOTHING, explained_by="patches"), NONE, verdicts.COMES_WITH, None),
        (usage(**OPEN), NONE, verdicts.UNCLEAR, "masks"),
        (usage(**OPEN, kind="metadata"), NONE, verdicts.UNCLEAR, "more images"),
        (usage(kind="metadata"), NONE, verdicts.UNCLEAR, "--given others"),
        (usage(**{**UNUSED, **ADDS_NOTHING}, rank_effect_error=0.2), NONE, verdicts.NOT_USED, None),
        (usage(**{**UNUSED, **OPEN}, rank_effect_error=0.2), NONE, verdicts.NOT_TESTABLE,
         "more images"),
        (usage(**{**UNUSED, **GIVEN}), NONE, verdicts.BEYOND, "masks"),  # hidden by another
        (usage(**{**UNUSED, **SMALL}), NONE, verdicts.NOT_USED, None),
    ],
)  # fmt: skip
def test_what_is_left_given_the_other_features_decides_where_edits_do_not(
    used, edited, verdict, settles
):
    row = verdict_table(used, edited, NONE).iloc[0]
    assert row["verdict"] == verdict
    assert row["would_settle"] is None if settles is None else settles in row["would_settle"]


def test_nothing_is_used_beyond_all_others_where_only_some_were_held_fixed():
    found = verdict_table(usage(**GIVEN), NONE, NONE, all_held=False)
    assert found["verdict"].tolist() == [verdicts.UNCLEAR]


def test_what_explains_a_dependence_stands_in_its_row():
    row = verdict_table(usage(**ADDS_NOTHING, explained_by="patches; ink"), NONE, NONE).iloc[0]
    assert row["explained_by"] == "patches; ink"


def test_the_strongest_test_and_edit_of_a_feature_stand_in_its_row():
    used = pd.concat([usage(**UNUSED), usage(test="min-p(area)")], ignore_index=True)
    edited = pd.concat([edits(**NULL), edits(intervention="insert")], ignore_index=True)
    row = verdict_table(used, edited, NONE).iloc[0]
    assert (row["test"], row["intervention"]) == ("min-p(area)", "insert")


def test_what_could_have_been_found_grows_with_the_number_of_tests():
    one = verdict_table(usage(), NONE, NONE)["detectable_effect"].iloc[0]
    several = pd.concat([usage(feature=f"f{i}") for i in range(20)], ignore_index=True)
    many = verdict_table(several, NONE, NONE)["detectable_effect"].iloc[0]
    assert one == pytest.approx(0.03 * (1.96 + 0.8416), rel=1e-3)
    assert many > one


def test_controls_get_no_verdict_and_lifts_stand_beside():
    used = pd.concat([usage(), usage(feature="control-noise", kind="control")], ignore_index=True)
    alignment = pd.DataFrame(
        {
            "method": ["gradcam", "centre-prior"],
            "feature": ["ruler", "ruler"],
            "label": ["all", "all"],
            "lift_over_chance": [2.0, 1.0],
            "p_adjusted": [0.01, 1.0],
        }
    )
    table = verdict_table(used, edits(), alignment)
    assert table["feature"].tolist() == ["ruler"]
    assert table["lift_over_chance_gradcam"].tolist() == [2.0]
    assert "lift_p_centre-prior" not in table


def test_a_map_that_is_too_coarse_is_marked_and_its_lift_counts_nowhere():
    alignment = pd.DataFrame(
        [
            {"method": method, "feature": "ruler", "label": "all", "lift_over_chance": 1.5,
             "p_adjusted": 0.01, "too_coarse": coarse}
            for method, coarse in (("gradcam", True), ("layercam", False))
        ]
    )  # fmt: skip
    row = verdict_table(usage(), NONE, alignment).iloc[0]
    assert row["too_coarse_gradcam"]
    assert pd.isna(row["lift_over_chance_gradcam"])
    assert pd.isna(row["lift_p_gradcam"])
    assert not row["too_coarse_layercam"]
    assert row["lift_over_chance_layercam"] == 1.5


def test_every_row_has_the_columns_that_are_promised():
    for table in (
        verdict_table(usage(), NONE, NONE),
        verdict_table(NONE, edits(), NONE),
        verdict_table(usage(**GIVEN), edits(), NONE),
    ):
        assert set(table.columns) == set(TABLES["verdicts"].always)


@pytest.mark.parametrize(
    ("kind", "settles"),
    [
        ("artifact", "more images with it, and masks of it to edit"),
        ("structure", "more images with it, and masks of it to edit"),
        ("computed", "more images in which its value is known"),
        ("metadata", "more images in which its value is known"),
    ],
)
def test_what_would_tell_more_is_said_of_numbers_and_of_what_is_there_or_not(kind, settles):
    row = {"kind": kind, "p_given_adjusted": float("nan")}
    open_ = Verdict(verdicts.NOT_TESTABLE, "")
    assert would_settle(row, open_, [], set(), Limits()) == settles
