"""What follows where evidence agrees, where it is missing, and where it speaks against itself."""

import numpy as np
import pandas as pd
import pytest

from tests.analysis.verdicts.made import (
    ADDS_NOTHING,
    GIVEN,
    NONE,
    OPEN,
    STILL,
    UNUSED,
    WIDE,
    edits,
    number,
    opacity,
    usage,
)
from xattn.analysis.verdicts.table import verdict_table
from xattn.features.detected import DETECTORS
from xattn.runs.tables import verdicts
from xattn.runs.tables.verdicts import EDIT, EQUIVALENCE, GRADED, LABEL
from xattn.runs.tables.verdicts import GIVEN as BY_GIVEN

SIZE = {"feature": "size", "kind": "computed"}
FLAT = {"slope": 0.0, "p": 1.0}


def of(used=NONE, edited=NONE, dosed=NONE, feature="ruler", **changes):
    found = verdict_table(used, edited, NONE, dosed, **changes).set_index("feature")
    return found.loc[feature]


class TestAGradedEdit:
    def test_that_moves_the_score_shows_use_and_flips_say_whether_it_decides(self):
        row = of(usage(), NONE, opacity())
        assert (row["verdict"], row["decided_by"]) == (verdicts.CHANGES, GRADED)
        row = of(usage(), NONE, opacity(p_mcnemar=0.2))
        assert (row["verdict"], row["decided_by"]) == (verdicts.HARDLY, GRADED)
        of_value = opacity(flip_rate=np.nan, control_flip_rate=np.nan, p_mcnemar=np.nan)
        assert of(usage(), NONE, of_value, decides=False)["verdict"] == verdicts.MOVES

    def test_flips_are_asked_at_both_ends_at_half_the_level(self):
        size = usage(**SIZE)
        both = {"flip_rate": 0.3, "p_mcnemar": 0.03}
        assert of(size, NONE, number(**both), "size")["verdict"] == verdicts.HARDLY
        assert of(usage(), NONE, opacity(p_mcnemar=0.03))["verdict"] == verdicts.CHANGES

    def test_is_judged_over_two_standard_deviations_of_the_run(self):
        row = of(usage(**SIZE), NONE, number(slope=0.09), "size")  # 20 of value, 0.18 of the score
        assert row["slope_change"] == pytest.approx(0.18)
        assert row["verdict"] != verdicts.HARDLY
        row = of(usage(**SIZE), NONE, number(slope=0.11), "size")
        assert (row["slope_change"], row["verdict"]) == (pytest.approx(0.22), verdicts.HARDLY)

    def test_is_not_judged_beyond_the_doses_done(self):
        row = of(usage(**SIZE), NONE, number(slope=0.3, gain=2.0), "size")
        assert row["slope_change"] == pytest.approx(0.6)  # and not the 3.0 of ten times the dose

    def test_that_shows_nothing_tells_a_correlate_and_what_is_not_used(self):
        row = of(usage(**SIZE), NONE, number(**FLAT, half=0.05), "size")
        assert (row["verdict"], row["decided_by"]) == (verdicts.COMES_WITH, GRADED)
        row = of(usage(**SIZE, **UNUSED, rank_effect_error=0.2), NONE, number(**FLAT, half=0.05),
                 "size")  # fmt: skip
        assert (row["verdict"], row["decided_by"]) == (verdicts.NOT_USED, GRADED)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"gain": 0.1}, "diameter does"),  # does not do what it says
            ({"gain": -10.0}, "diameter does"),  # does the contrary
            ({"gain": np.nan}, "diameter does"),  # nobody measured it
            ({"leak": 6.0}, "more images"),  # so does its control
            ({"leak": np.nan}, "more images"),
            ({"gain": 3.0}, "more images"),  # by less than a standard deviation
            ({"intervention": "skin-tone"}, "does not"),  # known to be poor
        ],
    )
    def test_that_may_have_left_the_feature_as_it_was_acquits_nothing(self, changes, why):
        row = of(usage(**SIZE, **OPEN), NONE, number(**FLAT, half=0.02, **changes), "size")
        assert row["verdict"] == verdicts.UNCLEAR
        assert why in row["would_settle"]

    def test_of_an_artifact_that_stays_can_show_use_and_acquits_nothing(self):
        for sizes, verdict in ((opacity(), verdicts.CHANGES), (opacity(**FLAT, half=0.01), None)):
            sizes = sizes.assign(intervention="size", dose=[-0.5, 0.5])
            row = of(usage(**OPEN), NONE, sizes)
            assert row["verdict"] == (verdict or verdicts.UNCLEAR)

    def test_that_does_not_change_its_feature_shows_no_use_either(self):
        row = of(usage(**SIZE, **GIVEN), NONE, number(gain=0.1), "size")
        assert row["verdict"] == verdicts.LEFT_OPEN

    def test_of_less_than_the_whole_range_has_to_show_less(self):
        """Half of two standard deviations: the interval counts twice."""
        size = usage(**SIZE, **OPEN)
        wide = number(**FLAT, half=0.06, gain=5.0)
        assert of(size, NONE, wide, "size")["verdict"] == verdicts.UNCLEAR
        narrow = number(**FLAT, half=0.045, gain=5.0)
        assert of(size, NONE, narrow, "size")["verdict"] == verdicts.COMES_WITH

    def test_carries_its_caveat_into_the_row(self):
        row = of(usage(**SIZE), NONE, number(intervention="skin-tone"), "size")
        assert row["verdict"] == verdicts.HARDLY
        assert "lesion" in row["caveat"]
        assert pd.isna(of(usage(**SIZE), NONE, number(), "size")["caveat"])


class TestWhatElseAnEditChanges:
    """Colours moved apart are also more asymmetric."""

    COLOUR = usage(feature="colour", kind="computed", **OPEN)

    def both(self, colour=COLOUR, **edit_of_colour):
        used = pd.concat([usage(**SIZE, **OPEN), colour], ignore_index=True)
        other = number(**{"feature": "colour", "intervention": "colour", **edit_of_colour})
        dosed = pd.concat([number(beside="colour"), other], ignore_index=True)
        return of(used, NONE, dosed, "size"), of(used, NONE, dosed, "colour")

    def test_does_not_matter_where_nothing_shows_that_it_is_used(self):
        size, colour = self.both(**FLAT, half=0.05)
        assert (size["verdict"], size["decided_by"]) == (verdicts.HARDLY, GRADED)
        assert size["changed_with"] == "colour"
        assert colour["verdict"] == verdicts.COMES_WITH

    def test_takes_the_word_from_it_where_that_is_used_by_an_edit_of_its_own(self):
        size, colour = self.both()
        assert size["verdict"] == verdicts.UNCLEAR
        assert (
            size["would_settle"] == "an edit that leaves colour as it is: diameter changes it too"
        )
        assert colour["verdict"] == verdicts.HARDLY

    def test_takes_the_word_from_it_where_that_is_used_beyond_all_others(self):
        colour = usage(feature="colour", kind="computed", **GIVEN)
        size, _ = self.both(colour, gain=0.1)
        assert size["verdict"] == verdicts.UNCLEAR

    def test_is_said_to_contradict_where_tests_show_that_it_is_not_used(self):
        used = pd.concat([usage(**SIZE, **UNUSED), self.COLOUR], ignore_index=True)
        other = number(feature="colour", intervention="colour")
        dosed = pd.concat([number(beside="colour"), other], ignore_index=True)
        row = of(used, NONE, dosed, "size")
        assert (row["verdict"], row["decided_by"]) == (verdicts.NOT_USED, EQUIVALENCE)
        assert row["contradicts"] == "diameter"

    def test_of_two_that_drag_each_other_neither_decides(self):
        size, colour = self.both(beside="size")
        assert size["verdict"] == colour["verdict"] == verdicts.UNCLEAR

    def test_must_not_be_more_than_the_feature_itself(self):
        larger = number().assign(others="colour +3.0 SD")
        row = of(usage(**SIZE, **GIVEN), NONE, larger, "size")
        assert row["verdict"] == verdicts.LEFT_OPEN
        assert "leaves colour as it is" in row["would_settle"]

    def test_of_a_feature_that_says_the_same_is_no_other(self):
        used = pd.concat(
            [usage(**SIZE, **OPEN, nearly_the_same="colour"), self.COLOUR], ignore_index=True
        )
        dosed = pd.concat(
            [number(beside="colour"), number(feature="colour", intervention="colour")],
            ignore_index=True,
        )
        assert of(used, NONE, dosed, "size")["verdict"] == verdicts.HARDLY

    def test_is_what_its_pixels_did_where_these_were_masked(self):
        dosed = pd.concat([opacity(others="size -0.9 SD"), number()], ignore_index=True)
        used = pd.concat([usage(), usage(**SIZE)], ignore_index=True)
        assert of(used, NONE, dosed)["verdict"] == verdicts.CHANGES


class TestEvidenceThatSpeaksAgainstItself:
    def test_an_edit_that_moves_outweighs_one_that_does_not(self):
        both = pd.concat([edits(), edits(intervention="insert", **STILL)], ignore_index=True)
        row = of(usage(), both)
        assert (row["verdict"], row["contradicts"]) == (verdicts.CHANGES, "insert")
        row = of(usage(), edits(**STILL), opacity())
        assert (row["verdict"], row["decided_by"]) == (verdicts.CHANGES, GRADED)
        assert row["contradicts"] == "inpaint"
        row = of(usage(), edits(), opacity(**FLAT))
        assert (row["decided_by"], row["contradicts"]) == (EDIT, "opacity")

    def test_a_slope_to_the_other_side_than_the_removal_contradicts_it(self):
        assert pd.isna(of(usage(), edits(), opacity(slope=0.5))["contradicts"])
        assert of(usage(), edits(), opacity(slope=-0.5))["contradicts"] == "opacity"

    def test_an_edit_that_moves_a_score_that_does_not_depend_is_use_all_the_same(self):
        row = of(usage(**UNUSED), edits())
        assert (row["verdict"], row["contradicts"]) == (verdicts.CHANGES, LABEL)
        row = of(usage(**UNUSED, rank_effect_error=0.3), edits())  # too few images to contradict
        assert pd.isna(row["contradicts"])

    def test_an_edit_outweighs_that_nothing_is_left_given_the_others(self):
        row = of(usage(**ADDS_NOTHING), edits())
        assert (row["verdict"], row["contradicts"]) == (verdicts.CHANGES, EQUIVALENCE)

    def test_edits_that_show_nothing_outweigh_dependence_beyond_all_others(self):
        row = of(usage(**GIVEN), edits(**STILL))
        assert (row["verdict"], row["decided_by"]) == (verdicts.COMES_WITH, EDIT)
        assert row["contradicts"] == BY_GIVEN
        assert "a column of what goes with it" in row["would_settle"]

    def test_a_dose_that_moves_is_never_passed_over_by_edits_that_show_nothing(self):
        row = of(usage(**ADDS_NOTHING), edits(**STILL), opacity(flip_rate=0.0))
        assert row["verdict"] == verdicts.HARDLY

    def test_beside_single_edits_of_the_masks_a_dose_need_not_be_as_certain(self):
        row = of(usage(), edits(**STILL), opacity(slope=0.0, half=0.4, p=0.7))
        assert (row["verdict"], row["decided_by"]) == (verdicts.COMES_WITH, EDIT)
        row = of(usage(**OPEN), NONE, opacity(slope=0.0, half=0.4, p=0.7))
        assert row["verdict"] == verdicts.UNCLEAR


def test_no_edit_can_show_it_is_said_only_where_there_was_none():
    assert of(usage(**GIVEN))["verdict"] == verdicts.BEYOND
    for edited, dosed in ((edits(**WIDE), NONE), (NONE, opacity(slope=0.0, half=0.4, p=0.7))):
        row = of(usage(**GIVEN), edited, dosed)
        assert (row["verdict"], row["decided_by"]) == (verdicts.LEFT_OPEN, BY_GIVEN)
        assert row["would_settle"] == "more images to edit"


def test_what_is_of_the_whole_image_has_a_verdict_too():
    light = opacity(feature="light", intervention="light", kind="image", masks="none")
    row = of(usage(), NONE, light, "light")
    assert (row["verdict"], row["kind"]) == (verdicts.CHANGES, "image")


GONE = {"value_before": 0.9, "value_after": 0.1, "control_value_change": 0.0}


class TestUnderADetectorsMasks:
    def edited(self, name, **changes):
        found = {**GONE, **changes}
        return edits(feature=name, masks="detected", **found)

    @pytest.mark.parametrize("name", list(DETECTORS))
    def test_a_change_shows_use(self, name):
        row = of(usage(feature=name), self.edited(name), feature=name)
        assert (row["verdict"], row["masks"]) == (verdicts.CHANGES, "detected")

    @pytest.mark.parametrize("name", list(DETECTORS))
    def test_no_change_acquits_only_if_the_masks_are_known_to_hold_most_of_it(self, name):
        overlap = DETECTORS[name].overlap
        for part in (0.9, 1.1):
            half = 0.2 * part * (overlap or 0.9)
            still = {**STILL, "excess_low": -half, "excess_high": half}
            row = of(usage(feature=name, **OPEN), self.edited(name, **still), feature=name)
            acquits = bool(overlap) and part < 1
            assert row["verdict"] == (verdicts.COMES_WITH if acquits else verdicts.UNCLEAR)
            assert acquits or row["would_settle"] == "masks of it, so that it can be edited"

    @pytest.mark.parametrize(
        "changes",
        [
            {"value_after": 0.7},  # it is still found
            {"value_before": 0.3, "value_after": 0.1},  # it was not found before
            {"control_value_change": -0.6},  # the control takes it away, too
            {"value_after": np.nan},
        ],
    )
    @pytest.mark.parametrize("graded", [False, True])
    def test_no_change_acquits_nothing_that_the_detector_still_finds(self, changes, graded):
        of_it = {"feature": "patches", "masks": "detected", **GONE}
        gone, kept = (
            opacity(**FLAT, half=0.01, **of_it) if graded else edits(**STILL, **of_it)
            for _ in range(2)
        )
        kept = kept.assign(**changes)
        for edited, verdict in ((gone, verdicts.COMES_WITH), (kept, verdicts.UNCLEAR)):
            tables = (NONE, edited) if graded else (edited, NONE)
            row = of(usage(feature="patches", **OPEN), *tables, feature="patches")
            assert row["verdict"] == verdict
