import numpy as np
import pytest

from tests.analysis.painted import DOT, PATCH, SKIN, painted_run, sees
from xattn.analysis.interventions.editor import CONTROL
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.analysis.interventions.table import measure_interventions
from xattn.analysis.positive import Positive
from xattn.analysis.question import Question
from xattn.features.feature_set import FeatureSet

QUICK = {"permutations": 199, "bootstrap": 99, "images": 20}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return painted_run(tmp_path_factory.mktemp("images") / "root")


def measured(run, features, model, positive=None, **changes):
    asked = [Question(run, positive or Positive.of(["benign", "malignant"]))]
    (found,) = measure_interventions(asked, features, model, **{**QUICK, **changes})
    return found


def table(made, model, **changes):
    found = measured(made.run, made.features, model, **changes).table
    return found.set_index(["feature", "intervention"])


@pytest.fixture(scope="module")
def of_patches(made):
    return table(made, sees(PATCH))


def test_what_the_model_sees_changes_its_score_and_what_it_does_not_see_does_not(of_patches):
    removed, inserted = of_patches.loc[("patch", "inpaint")], of_patches.loc[("patch", "insert")]
    assert removed["excess_high"] < -0.5
    assert inserted["excess_low"] > 0.5
    assert max(removed["p_adjusted"], inserted["p_adjusted"]) < 0.05
    assert removed["flip_rate"] > 0.5 > removed["control_flip_rate"] == 0
    dots = of_patches.loc[("dots", "inpaint")]
    assert abs(dots["excess_logit"]) < 0.01


def test_another_model_another_feature(made):
    found = table(made, sees(DOT, 400.0))
    assert found.loc[("dots", "inpaint"), "p_adjusted"] < 0.05
    assert abs(found.loc[("patch", "insert"), "excess_logit"]) < 0.01


def test_there_is_a_row_for_every_edit_that_suits_a_feature(of_patches):
    assert set(of_patches.index) >= {
        ("patch", "inpaint"),
        ("patch", "insert"),
        ("dots", "inpaint"),
        ("lesion", "occlude"),
        ("lesion", "occlude-surround"),
        (CONTROL, "inpaint"),
    }
    for name, edit in INTERVENTIONS.items():
        suited = {"patch": "artifact", "dots": "structure", "lesion": "lesion"}
        edited = {feature for feature, kind in suited.items() if kind in edit.features}
        assert {f for f, i in of_patches.index if i == name} - {CONTROL} == edited


def test_patches_of_plain_skin_show_nothing_and_are_not_adjusted_for(of_patches):
    control = of_patches.loc[(CONTROL, "inpaint")]
    assert abs(control["excess_logit"]) < 0.05
    assert control["flip_rate"] == control["control_flip_rate"] == 0
    assert np.isnan(control["p_adjusted"])


def test_what_has_no_control_has_no_p_value(of_patches):
    surround = of_patches.loc[("lesion", "occlude-surround")]
    assert surround["n"] == 20
    assert surround["n_control"] == 0
    assert np.isnan(surround["p_value"])
    assert surround["note"] == "no room for a control"


def test_occluding_the_lesion_changes_a_model_of_skin(made):
    found = table(made, sees(SKIN, 10.0))
    assert found.loc[("lesion", "occlude"), "delta_logit"] > 0.2


def test_same_seed_same_table_and_any_batch_size_or_workers(made, of_patches):
    again = table(made, sees(PATCH), batch_size=3, workers=0)
    numbers = of_patches.select_dtypes("number")
    assert np.allclose(again[numbers.columns], numbers, atol=1e-4, equal_nan=True)
    other = table(made, sees(PATCH), seed=1)
    assert (other["delta_logit"] != of_patches["delta_logit"]).any()


def test_a_feature_that_no_image_shows_is_said_so(made):
    empty = FeatureSet(made.run.path)
    empty.table["patch.area"] = 0.0
    found = measured(made.run, empty, sees(PATCH)).table
    found = found.set_index(["feature", "intervention"])
    assert found.loc[("patch", "inpaint"), "note"] == "no images show it"
    assert "usable size" in found.loc[("patch", "insert"), "note"]
    assert found.loc[("patch", "inpaint"), "n"] == 0


def test_an_image_that_is_gone_is_left_out(made, tmp_path_factory):
    other = painted_run(tmp_path_factory.mktemp("gone") / "root", 30)
    for path in sorted((other.run.path.parent / "images").glob("*.png"))[::2]:
        path.unlink()
    found = measured(other.run, other.features, sees(PATCH)).table
    assert (found["n"] < found["available"]).all()


def test_scores_of_several_classes_are_log_odds_of_the_predicted_one(made):
    from xattn.analysis.interventions.passes import log_odds

    logits = np.random.default_rng(0).normal(size=(5, 3, 4))
    p = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    best = logits[:, 0].argmax(1)
    expected = [
        [np.log(p[i, j, best[i]] / (1 - p[i, j, best[i]])) for j in range(3)] for i in range(5)
    ]
    assert log_odds(logits, Positive.of(list("abcd"))) == pytest.approx(np.array(expected))
    two = logits[:, :, :2]
    assert log_odds(two, Positive.of(list("ab"))) == pytest.approx(two[:, :, 1] - two[:, :, 0])


def answers(named=None):
    from xattn.analysis.interventions.by_class import Answers

    before = np.array([[2.0, 0, 0], [0, 2, 0], [0, 2, 0], [0, 0, 2]])
    after = np.array([[0.0, 2, 0], [0, 2, 0], [2, 0, 0], [0, 0, 2]])
    control = np.array([[2.0, 0, 0], [0, 2, 0], [0, 0, 2], [np.nan] * 3])
    logits = np.stack([before, after, control, before], axis=1)
    return Answers(logits, np.arange(4), Positive.of(["mel", "nv", "vasc"], named))


def test_changed_decisions_are_named_and_counted():
    found = answers()
    assert found.changes() == "mel → nv: 1; nv → mel: 1"
    assert found.changes(control=True) == "nv → vasc: 1"
    against = answers("mel")
    assert against.changes() == "mel → rest: 1; rest → mel: 1"
    assert against.changes(control=True) == ""  # nv for vasc is no change of that question


def test_rounding_is_no_change_of_any_class():
    from xattn.analysis.interventions.by_class import Answers

    rng = np.random.default_rng(0)
    logits = np.repeat(rng.normal(size=(12, 1, 3)), 4, axis=1)
    logits[:, 1] += rng.uniform(1e-8, 1e-7, (12, 3))
    for row in Answers(logits, np.arange(12), Positive.of(["a", "b", "c"])).rows(99, 99, 0):
        assert row["p_value"] == 1
        assert row["delta_logit"] == row["excess_logit"] == 0


def test_every_class_has_its_change_and_the_decisions_that_came_and_left():
    rows = {row["class"]: row for row in answers().rows(99, 99, 0)}
    assert list(rows) == ["mel", "nv", "vasc"]
    odds = 2 - np.log(2)  # of one logit of 2 against two of 0
    other = -np.log(np.exp(2) + 1)
    assert rows["mel"]["delta_logit"] == pytest.approx(0)
    assert rows["nv"]["n"] == 4
    assert rows["nv"]["n_control"] == 3
    assert rows["vasc"]["delta_logit"] == pytest.approx(0)
    assert rows["nv"]["control_delta_logit"] == pytest.approx((other - odds) / 3)
    assert [rows["nv"][k] for k in ("gained", "lost", "control_gained", "control_lost")] == [
        1, 1, 0, 1,
    ]  # fmt: skip
