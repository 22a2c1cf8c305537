import numpy as np
import pandas as pd
import pytest

from xattn.analysis.verdicts import verdict_table
from xattn.runs.tables import verdicts


def usage(**changes):
    row = {
        "feature": "ruler", "kind": "artifact", "test": "min-p(presence)", "n": 1000,
        "p_value": 0.001, "p_adjusted": 0.004, "used": True, "effect_bits": 0.1,
        "rank_effect": 0.3, "rank_effect_error": 0.03,
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


def edits(**changes):
    row = {
        "feature": "ruler", "kind": "artifact", "intervention": "inpaint", "n": 100,
        "excess_logit": -0.5, "excess_low": -0.7, "excess_high": -0.3, "flip_rate": 0.2,
        "control_flip_rate": 0.0, "score_sd": 1.0, "p_mcnemar": 0.01, "p_value": 0.001,
        "p_adjusted": 0.01,
    }  # fmt: skip
    return pd.DataFrame([{**row, **changes}])


NONE = pd.DataFrame()
UNUSED = {"p_value": 0.5, "p_adjusted": 1.0, "used": False, "rank_effect": 0.0}
NULL = {"excess_logit": 0.0, "p_value": 0.6, "p_adjusted": 1.0}


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


GIVEN = {
    "effect_given": 0.2, "effect_given_low": 0.1, "effect_given_high": 0.3,
    "p_given_adjusted": 0.01, "p_equivalent": 0.9,
}  # fmt: skip
ADDS_NOTHING = {**GIVEN, "effect_given": 0.01, "p_given_adjusted": 0.8, "p_equivalent": 0.01}
OPEN = {**ADDS_NOTHING, "p_equivalent": 0.4}
SMALL = {**GIVEN, "effect_given": 0.05, "p_equivalent": 0.01}


@pytest.mark.parametrize(
    ("used", "edited", "verdict", "settles"),
    [
        (usage(**GIVEN), NONE, verdicts.BEYOND, "masks"),
        (usage(**SMALL), NONE, verdicts.BEYOND, "masks"),
        (usage(**GIVEN), edits(), verdicts.CHANGES, None),
        (usage(**GIVEN), edits(**NULL, excess_low=-0.05, excess_high=0.05), verdicts.COMES_WITH,
         None),
        (usage(**GIVEN), edits(**NULL, excess_low=-0.5, excess_high=0.5), verdicts.BEYOND,
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


DOSES = pd.DataFrame(
    [
        {"feature": "ruler", "intervention": edit, "dose": dose, "slope": slope,
         "slope_low": slope - 0.1, "slope_high": slope + 0.1, "p_value": p / 2, "p_adjusted": p}
        for edit, slope, p in (("opacity", 0.8, 0.01), ("size", 0.1, 0.7))
        for dose in (-1.0, 1.0)
    ]
)  # fmt: skip


class TestGradedEdits:
    def test_the_edit_of_least_p_value_stands_beside_the_rest(self):
        row = verdict_table(usage(), NONE, NONE, DOSES).iloc[0]
        assert row["graded_edit"] == "opacity"
        assert (row["slope"], row["slope_low"], row["slope_p"]) == (0.8, 0.7000000000000001, 0.01)

    def test_decide_nothing_but_are_pointed_to_where_something_is_open(self):
        with_doses = verdict_table(usage(), NONE, NONE, DOSES).iloc[0]
        without = verdict_table(usage(), NONE, NONE).iloc[0]
        assert with_doses["verdict"] == without["verdict"] == verdicts.UNCLEAR
        assert "doses.csv" in with_doses["would_settle"]
        assert "doses.csv" not in without["would_settle"]

    def test_of_other_features_say_nothing(self):
        row = verdict_table(usage(feature="ink"), NONE, NONE, DOSES).iloc[0]
        assert pd.isna(row["slope"])
        assert "doses.csv" not in row["would_settle"]


def test_a_map_that_is_too_coarse_is_marked():
    alignment = pd.DataFrame(
        [
            {"method": method, "feature": "ruler", "label": "all", "lift_over_chance": 1.5,
             "p_adjusted": 0.01, "too_coarse": coarse}
            for method, coarse in (("gradcam", True), ("layercam", False))
        ]
    )  # fmt: skip
    row = verdict_table(usage(), NONE, alignment).iloc[0]
    assert row["too_coarse_gradcam"]
    assert not row["too_coarse_layercam"]
