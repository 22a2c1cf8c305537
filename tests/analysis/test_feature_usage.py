import hashlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.analysis.annotated import plant
from tests.analysis.painted import PATCH, painted_run, sees, sees_in_layers
from tests.fabricate import fabricate_run
from xattn.analysis.feature_usage import feature_usage
from xattn.analysis.positive import Positive
from xattn.analysis.scored import decision_scores
from xattn.annotations import AnnotatedImage, read_annotations, write_annotations
from xattn.errors import AnnotationError, RunError, UsageError
from xattn.runs import TABLES, RunFolder
from xattn.runs.atomic import read_record
from xattn.runs.tables.concepts import NEITHER, NOT_TESTED, USED
from xattn.runs.tables.verdicts import BEYOND, CHANGES, NOT_TESTABLE, NOT_USED

QUICK = {"permutations": 99, "bootstrap": 99}
NAMES = (
    "alignment", "feature_usage", "interventions", "doses", "concepts", "bias", "fairness",
    "agreement", "verdicts",
)  # fmt: skip


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    planted = plant(tmp_path_factory.mktemp("run"), 120)
    return planted, feature_usage(planted.run, planted.annotations, **QUICK)


@pytest.fixture(scope="module")
def planted(analysed):
    """The planted run, analysed already: whichever test comes first finds the same folder."""
    return analysed[0]


@pytest.fixture(scope="module")
def tables(analysed):
    return analysed[1]


def of_ruler(bias):
    """Rows of bias.csv by metric."""
    return bias[bias["feature"] == "ruler"].set_index("metric")


def facts(run):
    return read_record(run.path / "analysis.json")


def test_what_was_planted_is_found_and_nothing_else(tables):
    alignment = tables["alignment"]
    seen = alignment[(alignment["p_adjusted"] < 0.05) & (alignment["label"] == "all")]
    assert set(zip(seen["method"], seen["feature"], strict=True)) == {("gradcam", "network")}
    usage = tables["feature_usage"]
    assert set(usage.loc[usage["used"], "feature"]) == {"ruler"}
    bias = of_ruler(tables["bias"])
    assert bias.loc["tpr", "gap_low"] > 0
    assert bias.loc["fpr", "gap_low"] > 0
    apart = tables["fairness"].query("metric == 'equalized_odds_difference'").set_index("feature")
    assert set(apart.index) == {"ruler", "age_band", "site", "skin_tone_band"}
    assert apart.index[apart["p_adjusted"] < 0.05].tolist() == ["ruler"]


def test_groups_of_patients_stand_beside_the_artifacts(tables):
    bias = tables["bias"]
    found = bias.drop_duplicates("feature").set_index("feature")["category"]
    assert found["site=arm"] == "arm"
    assert {"age_band=0-29", "age_band=30-49", "age_band=50-69"} < set(found.index)
    areas = bias["metric"] == "auc"
    assert (bias["p_delong"].notna() == (areas & bias["gap"].notna())).all()


def test_tables_are_those_on_disk_with_the_promised_columns_first(planted, tables):
    for name in NAMES:
        stored = planted.run.table(name)
        assert tuple(stored.columns[: len(TABLES[name].promised)]) == TABLES[name].promised
        pd.testing.assert_frame_equal(
            stored, tables[name], check_dtype=False, check_column_type=False
        )


BY_METHOD = ("lift_over_chance_", "lift_p_", "too_coarse_", "p_rank", "p_dcor", "p_hsic")
"""Beginnings of the columns that there are by method or statistic."""


def test_a_table_without_rows_has_the_columns_of_one_with_rows(tables, tmp_path):
    painted = painted_run(tmp_path / "root", 12)
    edited = feature_usage(
        painted.run, painted.annotations, model=sees_in_layers(PATCH), interventions=6, **QUICK
    )
    for name in NAMES:
        asked = ("interventions", "doses", "concepts")
        full = edited[name] if name in asked else tables[name]
        assert len(full), name
        columns = {c for c in full.columns if not c.startswith(BY_METHOD)}
        assert columns == set(TABLES[name].always), name


@pytest.mark.slow
def test_an_unknown_decision_is_refused_before_anything_is_measured(planted):
    with pytest.raises(UsageError, match="Unknown decision 'majorty'; did you mean 'majority'"):
        feature_usage(
            planted.run, planted.annotations, decision="majorty",
            progress=lambda *_: pytest.fail("it was measured"),
        )  # fmt: skip


def test_every_feature_is_also_tested_given_the_others(tables, planted):
    usage = tables["feature_usage"].set_index("feature")
    assert (usage["p_given"].dropna().between(0, 1)).all()
    assert usage.loc["ruler", "p_given_adjusted"] < 0.05
    assert usage.loc["ruler", "effect_given"] > 0.3
    assert (usage.drop("ruler")["p_given_adjusted"].dropna() > 0.05).all()
    assert facts(planted.run)["given"] == ["others"]
    verdicts = tables["verdicts"].set_index("feature")
    assert verdicts.loc["ruler", "verdict"] == BEYOND
    assert verdicts.loc["ruler", "would_settle"] == "masks of it, so that it can be edited"


def test_what_is_held_fixed_is_refused_before_the_long_part_if_it_is_not_there(tmp_path):
    run = plant(tmp_path, 40)
    for wrong in ({"given": "rulr"}, {"label_column": "diagnosis"}, {"learner": "forest"}):
        with pytest.raises(UsageError, match=r"Expected|Unknown"):
            feature_usage(run.run, run.annotations, **wrong, **QUICK)
    assert not (run.run.path / "feature_usage.csv").exists()


def test_a_finer_label_is_held_fixed_in_both_tests(tmp_path):
    """Given the ruler itself nothing of it is left to test."""
    run = plant(tmp_path, 120)
    finer = feature_usage(run.run, run.annotations, label_column="ruler", **QUICK)
    row = finer.usage.set_index("feature").loc["ruler"]
    assert row["note"] == "constant within every label"
    assert not row["used"]
    assert np.isnan(row["p_given"])
    assert facts(run.run)["label_column"] == "ruler"


def test_a_finer_label_that_is_not_known_everywhere_is_counted(tmp_path):
    run = plant(tmp_path, 60)
    known = read_annotations(run.annotations)
    path = write_annotations(
        tmp_path / "some.json",
        [replace(image, values={**image.values, "dx": ["a", "b", None, None][i % 4], "id": i})
         for i, image in enumerate(known.images)],
        labels=known.labels,
        features={**known.features, "dx": "metadata", "id": "metadata", "empty": "metadata"},
    )  # fmt: skip
    found = feature_usage(run.run, path, label_column="dx", **QUICK)
    assert "30 images have no dx: left out of the dependence tests" in found.notes
    found = feature_usage(run.run, path, label_column="id", **QUICK)
    assert any(note.startswith("No value of id occurs in several") for note in found.notes)
    with pytest.raises(UsageError, match="a value of 'empty', but got none"):
        feature_usage(run.run, path, label_column="empty", **QUICK)
    with pytest.raises(UsageError, match="'id', left out of all tests"):
        feature_usage(run.run, path, given="id", **QUICK)


def test_another_decision_and_a_cross_check_can_be_asked_for(planted, tmp_path):
    run = plant(tmp_path, 120)
    found = feature_usage(run.run, run.annotations, decision="majority", cross_check=True, **QUICK)[
        "feature_usage"
    ]
    assert found["test"].str.startswith("majority(").all()
    p = found.set_index("feature")["p_kci"]
    assert p["ruler"].max() < 0.01 < p["control-noise"]
    assert facts(run.run)["usage_adjusted"] == "Holm"
    assert facts(planted.run)["usage_adjusted"] == "Westfall-Young"


def test_without_its_checkpoint_a_run_gets_no_interventions_and_is_told_why(planted):
    assert planted.run.table("interventions").empty
    assert any(
        note.startswith("No interventions: Expected") for note in facts(planted.run)["notes"]
    )
    assert any(
        note.startswith("No concept vectors: Expected") for note in facts(planted.run)["notes"]
    )


def test_concept_vectors_can_be_left_out(tmp_path):
    made = painted_run(tmp_path / "root", 12)
    found = feature_usage(
        made.run, made.annotations, model=sees(PATCH), interventions=0, concepts=False, **QUICK
    )
    assert found.concepts.empty
    assert set(found.concepts.columns) == set(TABLES["concepts"].always)
    assert not any("concept" in note for note in found.notes)


def test_with_a_model_all_kinds_of_evidence_stand_together(tmp_path):
    made, model = painted_run(tmp_path / "root", 80), sees_in_layers(PATCH)
    tables = feature_usage(made.run, made.annotations, model=model, interventions=15, **QUICK)
    verdicts = tables["verdicts"].set_index("feature")
    concepts = tables["concepts"].set_index("feature")
    assert concepts.loc["patch", "finding"] == USED
    assert concepts.loc["control-label-noise", "finding"] in (NEITHER, NOT_TESTED)
    assert facts(made.run)["concept_layer"] == concepts.loc["patch", "layer"]
    assert verdicts.loc["patch", "verdict"] == CHANGES
    assert verdicts.loc["dots", "verdict"] in (NOT_USED, NOT_TESTABLE)
    assert "lift_over_chance_gradcam" in verdicts
    assert tables["agreement"]["method_a"].tolist() == ["gradcam"]
    assert facts(made.run)["intervention_images"] == 15
    for note in facts(made.run)["notes"]:
        assert "computed feature" in note or "too coarse for features" in note


def test_settings_counts_and_the_annotation_file_are_recorded(planted, tables):
    recorded = facts(planted.run)
    content = planted.annotations.read_bytes()
    assert recorded["annotations_sha256"] == hashlib.sha256(content).hexdigest()
    assert (recorded["permutations"], recorded["seed"], recorded["alpha"]) == (99, 0, 0.05)
    assert recorded["permutations_drawn"]["alignment"] >= 99
    assert recorded["counts"]["images"] == recorded["counts"]["annotated"] == 120
    assert sum(recorded["counts"]["labels"].values()) == 120
    assert recorded["counts"]["shown"]["network"] < recorded["counts"]["masks"]["network"] == 120
    assert recorded["problems"] == []
    of_edits = {"doses"}  # measured with the other edits
    assert set(recorded["timings"]) == {"features", "mask_scores", "activations", *NAMES} - of_edits
    scores = pd.read_parquet(planted.run.path / "mask_scores.parquet")
    assert {"method", "feature", "image_id", "lift"} <= set(scores.columns)


def test_same_seed_same_bytes_and_a_second_call_replaces_the_first(planted, tables):
    before = {name: (planted.run.path / f"{name}.csv").read_bytes() for name in NAMES}
    feature_usage(str(planted.run.path), read_annotations(planted.annotations), **QUICK)
    assert before == {n: (planted.run.path / f"{n}.csv").read_bytes() for n in NAMES}


def test_progress_counts_up_to_its_total(tmp_path):
    planted, seen = plant(tmp_path, 30), []
    feature_usage(planted.run, planted.annotations, progress=lambda *s: seen.append(s), **QUICK)
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_images_of_one_lesion_count_as_one_group(tmp_path):
    planted = plant(tmp_path, 60, groups=np.arange(60) // 2)
    usage = feature_usage(planted.run, planted.annotations, **QUICK)["feature_usage"]
    assert (usage["groups"] <= 30).all()
    assert facts(planted.run)["counts"]["groups"] == 30


@pytest.mark.slow
def test_several_classes_are_tested_by_their_probabilities(tmp_path):
    classes = ("bkl", "mel", "nv")
    planted = plant(tmp_path, 90, classes=classes, ruler_effect=6.0)
    assert decision_scores(planted.run, Positive.of(planted.run.classes)).shape == (90, 3)
    tables = feature_usage(planted.run, planted.annotations, **QUICK)
    usage = tables["feature_usage"].set_index("feature")
    assert usage.loc["ruler", "used"]
    assert "tpr[mel]" in tables["bias"]["metric"].tolist()


def test_the_positive_class_can_be_chosen(tables, tmp_path):
    planted = plant(tmp_path, 120)
    turned = feature_usage(planted.run, planted.annotations, positive="benign", **QUICK)
    a, b = (of_ruler(t["bias"])["gap"] for t in (tables, turned))
    assert b["tpr"] == pytest.approx(-a["fpr"])
    scores = decision_scores(planted.run, Positive.of(planted.run.classes, "benign"))
    assert scores == pytest.approx(
        -decision_scores(planted.run, Positive.of(planted.run.classes, "malignant"))
    )
    with pytest.raises(UsageError, match="Unknown class 'bengin'"):
        feature_usage(planted.run, planted.annotations, positive="bengin", **QUICK)


def some_run(tmp_path, labels, masks=False, features=None, values=None):
    """A run without masks, and its annotation file."""
    n = 30
    rng = np.random.default_rng(0)
    run = fabricate_run(tmp_path, rng.normal(size=(n, 2)), {"gradcam": rng.random((n, 4, 4))})
    images = [
        AnnotatedImage(
            f"img_{i:04d}",
            tmp_path / f"images/img_{i:04d}.png",
            label=labels[i],
            values={"ruler": i % 2},
        )
        for i in range(n)
    ]
    path = write_annotations(
        tmp_path / "a.json",
        images,
        labels=["benign", "malignant"],
        features={"ruler": "artifact"},
    )
    return run, path


def test_no_masks_leave_the_alignment_empty_and_the_rest_goes_on(tmp_path):
    run, path = some_run(tmp_path, ["benign", "malignant"] * 15)
    notes = []
    tables = feature_usage(run, path, on_note=notes.append, **QUICK)
    assert tables["alignment"].empty
    assert tuple(tables["alignment"].columns[:16]) == TABLES["alignment"].promised
    assert len(tables["feature_usage"]) == 3
    assert any("No image has a mask" in note for note in notes)
    assert run.table("alignment").empty


def test_without_masks_the_edits_that_need_none_are_done(tmp_path):
    made = painted_run(tmp_path / "root", 24)
    bare = [replace(image, masks={}, lesion=None) for image in made.annotations.images]
    known = made.annotations
    path = write_annotations(
        tmp_path / "bare.json", bare, labels=known.labels, features=known.features
    )
    found = feature_usage(made.run, path, model=sees(PATCH), interventions=6, **QUICK)
    assert found.interventions.empty
    done = found.doses[found.doses["n"] > 0]
    assert set(done["masks"]) <= {"none", "detected"}
    assert {"light", "colour-cast"} <= set(done["intervention"])
    (note,) = [note for note in found.notes if "No image has a mask" in note]
    assert "alignment.csv and interventions.csv are empty" in note


def test_no_labels_leave_usage_and_bias_empty_and_say_so(tmp_path):
    run, path = some_run(tmp_path, [None] * 30)
    notes = []
    tables = feature_usage(run, path, on_note=notes.append, **QUICK)
    assert tables["feature_usage"].empty
    assert tables["bias"].empty
    assert any("No image has a label" in note for note in notes)
    assert facts(run)["notes"] == notes


def test_one_label_is_tested_within_and_has_no_bias(tmp_path):
    run, path = some_run(tmp_path, ["benign"] * 30)
    notes = []
    tables = feature_usage(run, path, on_note=notes.append, **QUICK)
    assert tables["feature_usage"]["p_value"].notna().all()
    bias = tables["bias"].set_index("metric")
    assert bias.loc[["balanced_accuracy", "tpr", "auc"], "gap"].isna().all()
    assert np.isfinite(bias.loc["fpr", "gap"])
    assert any("All labels are 'benign'" in note for note in notes)


def test_problems_and_missing_images_are_noted(tmp_path):
    planted = plant(tmp_path, 30)
    content = json.loads(planted.annotations.read_text())
    del content["images"][0], content["images"][1]["label"]
    planted.annotations.write_text(json.dumps(content))
    (tmp_path / "masks" / "img_0004_dots.png").write_bytes(b"")
    notes = []
    feature_usage(planted.run, planted.annotations, on_note=notes.append, **QUICK)
    assert "1 of 30 images of the run are not in the annotation file" in notes
    assert any("1 masks could not be used" in note for note in notes)
    assert "2 images have no label and are left out" in notes
    assert facts(planted.run)["problems"][0]["image_id"] == "img_0004"


def test_the_annotations_label_wins_over_the_runs_and_that_is_said(tmp_path):
    planted = plant(tmp_path, 30, annotate=False)
    content = json.loads(planted.annotations.read_text())
    content["images"][0]["label"] = {"benign": "malignant", "malignant": "benign"}[
        str(planted.labels[0])
    ]
    planted.annotations.write_text(json.dumps(content))
    notes = []
    feature_usage(planted.run, planted.annotations, on_note=notes.append, **QUICK)
    assert any("1 images have another label in the run" in note for note in notes)


def test_another_data_set_is_refused_with_an_example_of_each_side(planted, tmp_path):
    image = AnnotatedImage("ISIC_1", planted.run.image_path(0))
    path = write_annotations(tmp_path / "other.json", [image])
    with pytest.raises(AnnotationError, match=r"img_0000.*ISIC_1"):
        feature_usage(planted.run, path, **QUICK)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"permutations": 0}, "at least one permutation"),
        ({"bootstrap": 0}, "bootstrap"),
        ({"alpha": 0}, "alpha between 0 and 1"),
        ({"alpha": 1.0}, "alpha between 0 and 1"),
    ],
)
def test_arguments_out_of_range_are_refused(planted, more, message):
    with pytest.raises(UsageError, match=message):
        feature_usage(planted.run, planted.annotations, **{**QUICK, **more})


def test_no_run_is_refused(tmp_path, planted):
    with pytest.raises(RunError, match=r"no run\.json"):
        feature_usage(tmp_path / "nothing", planted.annotations)


def test_a_class_that_no_label_names_has_no_rate(tmp_path):
    planted = plant(tmp_path, 120, classes=("bkl", "mel", "nv"))
    content = json.loads(planted.annotations.read_text())
    for image in content["images"]:
        image["label"] = "nv" if image["label"] == "bkl" else image["label"]
    planted.annotations.write_text(json.dumps(content))
    bias = feature_usage(planted.run, planted.annotations, **QUICK)["bias"]
    bias = of_ruler(bias)
    rates = [f"{rate}[{name}]" for name in ("mel", "nv") for rate in ("tpr", "fpr")]
    assert set(bias.index) == {"balanced_accuracy", *rates, "auc"}
    assert np.isfinite(bias["gap"]).all()


def test_importing_the_package_is_enough_for_both_names(planted, tables):
    import xattn

    assert xattn.feature_usage is feature_usage
    assert RunFolder.open(planted.run.path).has_table("bias")
