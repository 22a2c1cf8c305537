"""Edits under the masks of detectors: the same images, masks and limits for all edits."""

import numpy as np
import pytest

from tests.analysis.painted import DOT, PATCH, painted_run, sees
from xattn.analysis.interventions.doses.jobs import dose_jobs
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.analysis.interventions.shown import BY_ANNOTATION, BY_DETECTOR, shown
from xattn.analysis.interventions.table import measure_interventions
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.features.detected import DETECTORS, Detector, RawDetection
from xattn.features.feature_set import FeatureSet

QUICK = {"permutations": 199, "bootstrap": 99, "images": 15}


def green(image):
    mask = np.abs(image.pixels.astype(float) - PATCH).max(axis=2) < 40
    return RawDetection(float(mask.mean()), mask)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return painted_run(tmp_path_factory.mktemp("images") / "root", n=40)


@pytest.fixture(scope="module")
def detector():
    with pytest.MonkeyPatch.context() as patch:
        one = Detector("green", "green pixels", "here", 0.01, 0.002, green, overlap=0.9)
        patch.setitem(DETECTORS, "green", one)
        yield


@pytest.fixture(scope="module")
def flagged(run, detector):
    """The green patches once more, flagged and without masks; a detector knows how to find them."""
    features = FeatureSet(run.run.path)
    features._facts["kinds"]["green"] = "artifact"
    features.table["green"] = features.table["patch"]
    return features


def measured(run, features, model):
    asked = [Question(run.run, Positive.of(["benign", "malignant"]))]
    (found,) = measure_interventions(asked, features, model, **QUICK)
    return found


@pytest.fixture(scope="module")
def found(run, flagged):
    return measured(run, flagged, sees(PATCH))


def test_what_is_flagged_and_not_outlined_is_taken_away_where_a_detector_finds_it(found):
    table = found.table.set_index(["feature", "intervention"])
    row, drawn = table.loc[("green", "inpaint")], table.loc[("patch", "inpaint")]
    assert (row["masks"], drawn["masks"]) == (BY_DETECTOR, BY_ANNOTATION)
    assert row["excess_high"] < -0.5
    assert row["delta_logit"] == pytest.approx(drawn["delta_logit"], abs=0.3)
    assert row["available"] == drawn["available"]


def test_its_score_says_whether_it_is_gone_and_the_control_left_it(found):
    row = found.table.set_index(["feature", "intervention"]).loc[("green", "inpaint")]
    assert row["value_before"] > 0.9
    assert row["value_after"] < 0.1
    assert abs(row["control_value_change"]) < 0.1
    drawn = found.table.set_index(["feature", "intervention"]).loc[("patch", "inpaint")]
    assert np.isnan(drawn["value_before"])


def test_nothing_is_put_in_by_a_detectors_masks(found):
    edits = set(found.table.loc[found.table["feature"] == "green", "intervention"])
    assert edits == {name for name, one in INTERVENTIONS.items() if one.detected}


def test_a_model_that_does_not_see_it_is_not_moved(run, flagged):
    found = measured(run, flagged, sees(DOT, 400.0)).table.set_index("feature")
    assert abs(found.loc["green", "excess_logit"]) < 0.05


def test_single_and_graded_edits_are_done_to_the_same_images_by_the_same_masks(flagged, found):
    (single,) = (one for one in shown(flagged, ("artifact",)) if one.feature == "green")
    graded = [job for job in dose_jobs(flagged, 0) if job.feature == "green"]
    assert {job.detector for job in graded} == {single.detector} == {"green"}
    assert "opacity" in {job.edit.name for job in graded}
    for job in graded:
        assert sorted(job.rows) == single.rows.tolist()
    assert set(single.without).isdisjoint(single.rows)
    doses = found.doses[found.doses["feature"] == "green"]
    assert (doses["masks"] == BY_DETECTOR).all()


def test_without_a_detector_of_its_name_nothing_is_edited(run):
    features = FeatureSet(run.run.path)
    features._facts["kinds"]["glare"] = "artifact"
    features.table["glare"] = 1.0
    assert "glare" not in {one.feature for one in shown(features, ("artifact",))}


def test_decisions_at_each_dose_are_counted_beside_the_controls(found):
    doses = found.doses[found.doses["feature"] == "patch"]
    doses = doses[doses["intervention"] == "opacity"].set_index("dose")
    removed = found.table.set_index(["feature", "intervention"]).loc[("patch", "inpaint")]
    assert doses.loc[-1.0, "flip_rate"] > 0.5
    assert doses.loc[-1.0, "control_flip_rate"] == removed["control_flip_rate"] == 0
    assert doses.loc[-1.0, "p_mcnemar"] < 0.05
    assert (doses["flip_rate"].diff().dropna() <= 0).all()  # from the whole to a quarter


def test_however_many_edits_there_are_one_that_works_can_be_significant(found):
    """With 199 permutations the least p-value, times the number of edits, would be above 0.05."""
    edits = found.doses.drop_duplicates(["feature", "intervention"])
    assert len(edits) / 200 > 0.05 / 2
    patch = edits.set_index(["feature", "intervention"]).loc[("patch", "opacity")]
    assert patch["p_adjusted"] < 0.05
    for table, rows in ((found.table, found.table), (found.doses, edits)):
        assert len(rows) / (1 + table.attrs["permutations"]) < 0.05 / 2
