import json
import shutil

import numpy as np
import pytest

from tests.figures.populated import complete_run, explained_run, populated_run
from xattn.figures.page.performance import held_out_performance
from xattn.figures.page.summary import summarise
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record
from xattn.runs.tables.verdicts import UNCLEAR, VERDICTS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs to copy: one that is measured as far as usage and bias go, one wholly."""
    return {
        "populated": populated_run(tmp_path_factory.mktemp("one"), methods=("gradcam",)),
        "analysed": complete_run(tmp_path_factory.mktemp("two")),
    }


def copy_of(run, root):
    shutil.copytree(run.path, root / "run")
    return RunFolder.open(root / "run")


@pytest.fixture
def run(made, tmp_path):
    """A run whose tables say one clear thing each."""
    run = copy_of(made["populated"], tmp_path)
    alignment = run.table("alignment").assign(lift=1.1, lift_low=1.0, lift_high=1.2)
    alignment = alignment.assign(chance_lift=1.0, p_adjusted=0.5, mask_cells=4.0, too_coarse=False)
    patches = alignment["feature"] == "patches"
    alignment.loc[patches, ["lift", "lift_low", "lift_high"]] = [3.12, 2.71, 3.64]
    alignment.loc[patches, ["chance_lift", "p_adjusted"]] = [1.2, 0.004]
    run.write_table("alignment", alignment)
    usage = run.table("feature_usage")
    usage["used"] = usage["feature"] == "patches"
    usage["p_adjusted"] = np.where(usage["used"], 0.005, 0.8)
    usage[["effect_bits", "effect_low", "effect_high"]] = [0.0812, 0.0604, 0.1031]
    run.write_table("feature_usage", usage)
    bias = run.table("bias").assign(p_adjusted=0.6)
    one = (bias["feature"] == "ruler") & (bias["metric"] == "tpr")
    bias.loc[one, ["present", "absent", "gap", "gap_low", "gap_high", "p_adjusted"]] = [
        0.5, 0.7, -0.2, -0.26, -0.14, 0.01,
    ]  # fmt: skip
    run.write_table("bias", bias)
    for later in ("verdicts", "interventions", "agreement", "fairness"):
        (run.path / f"{later}.csv").unlink(missing_ok=True)
    return run


@pytest.fixture
def judged(made, tmp_path):
    """A run with a verdict on each feature: artifacts change decisions, structures hardly do."""
    return copy_of(made["analysed"], tmp_path)


def said(run, defects=None):
    sources = RunSources(run)
    scores = held_out_performance(run.predictions.assign(label=sources.labels), run.classes)
    return summarise(sources, scores, defects or {})


def facts(run):
    return {f.title: f for f in said(run).facts}


def test_every_number_comes_with_chance_and_interval(run):
    findings = " ".join(map(str, said(run).findings))
    assert "patches (lift 3.12 [2.71, 3.64]; by chance 1.20; adjusted p = 0.004)" in findings
    assert "patches (0.081 [0.060, 0.103] bits)" in findings
    assert "sensitivity (TPR) with ruler (−20.0 [−26.0, −14.0] points; 0.50 with, 0.70" in findings
    assert "where guessing gives 0.50" in findings


def test_a_map_too_coarse_for_the_feature_is_said_to_be_so(run):
    run.write_table("alignment", run.table("alignment").assign(mask_cells=0.4, too_coarse=True))
    findings = " ".join(map(str, said(run).findings))
    assert "is too coarse, and its lift no evidence, for patches (masks cover 0.40 of a cell)" in (
        findings
    )
    assert "exceeds chance on" not in findings
    assert facts(run)["Highest attribution"].value == "none significant"


def test_facts_name_the_feature_and_count_the_controls(run):
    assert facts(run)["Highest attribution"].value == "patches"
    assert facts(run)["Features used"].value == "1 of 4"
    assert "1 of 1 controls unused" in facts(run)["Features used"].note


def test_a_lift_that_chance_explains_is_no_finding(run):
    run.write_table("alignment", run.table("alignment").assign(p_adjusted=0.3))
    assert facts(run)["Highest attribution"].value == "none significant"
    findings = " ".join(map(str, said(run).findings))
    assert "attribution does not differ from chance on any of 4 features" in findings


def test_a_map_that_keeps_off_a_feature_is_said_to(run):
    table = run.table("alignment")
    ruler = table["feature"] == "ruler"
    table.loc[ruler, ["lift", "lift_low", "lift_high", "p_adjusted"]] = [0.4, 0.3, 0.5, 0.01]
    run.write_table("alignment", table)
    assert "attribution is below chance on ruler (lift 0.40" in " ".join(
        map(str, said(run).findings)
    )


def test_significant_gaps_are_named_with_the_class_they_are_of_the_largest_first(run):
    bias = run.table("bias").assign(p_adjusted=0.01)
    bias["metric"] = bias["metric"].replace({"tpr": "tpr[nv]", "fpr": "fpr[nv]"})
    run.write_table("bias", bias)
    (found,) = [f for f in said(run).findings if "significant, the largest first" in f.says]
    assert found.says.startswith(f"{len(bias)} of {len(bias)} gaps")
    assert found.total == len(bias)
    assert found.items[0].name == "sensitivity (TPR) for nv with ruler"
    assert found.more == len(bias) - 5


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (0, "No gap between images with and without an artifact could be measured"),
        (1, "The one gap between images with and without an artifact is not significant"),
        (2, "None of the 2 gaps between images with and without an artifact is significant"),
    ],
)
def test_gaps_are_counted_in_whole_sentences(run, rows, says):
    bias = run.table("bias").assign(p_adjusted=0.4)
    bias.loc[rows:, ["gap", "p_adjusted"]] = np.nan
    run.write_table("bias", bias)
    assert any(str(f).startswith(says) for f in said(run).findings)


def told_of(run, **analysis):
    facts = read_record(run.path / "analysis.json") | analysis
    (run.path / "analysis.json").write_text(json.dumps(facts))
    return " ".join(said(run).caveats)


def test_a_class_against_the_rest_is_said_and_no_class_is_positive_without_it(tmp_path):
    run = populated_run(tmp_path, classes=("mel", "nv", "vasc"), n=24)
    assert "against all other classes" not in told_of(run, positive="vasc")  # as older ones have it
    assert "against all other classes" not in told_of(run, positive=None, against="")
    assert "The analysis is of mel against all other" in told_of(
        run, positive="mel", against="rest"
    )


def test_an_evaluation_that_knew_no_splits_does_not_say_that_images_are_in_none(tmp_path):
    run = populated_run(tmp_path)
    run.predictions.assign(split="").to_parquet(run.path / "predictions.parquet", index=False)
    run = RunFolder.open(run.path)
    assert "is in the splits of the model's training" in " ".join(said(run).caveats)
    (run.path / "evaluation.json").write_text('{"splits": null}')
    caveats = " ".join(said(run).caveats)
    assert "is in the splits of the model's training" not in caveats
    assert "does not record which of these images the model was trained on" in caveats


def test_recalls_of_many_classes_stand_below_each_other(tmp_path):
    run = populated_run(tmp_path, classes=tuple("abcdefg"), n=28)
    told = said(run).findings[0]
    assert [item.name for item in told.items] == list("abcdefg")
    assert told.items[0].numbers.endswith("of 4 images")


def test_a_control_that_comes_out_as_used_is_a_warning(run):
    usage = run.table("feature_usage")
    usage["used"] = usage["used"] | (usage["kind"] == "control")
    run.write_table("feature_usage", usage)
    assert "Warning: a negative control is significant: control-noise" in " ".join(
        map(str, said(run).findings)
    )
    assert "0 of 1 controls" in facts(run)["Features used"].note


def test_nothing_used_is_said_without_claiming_that_nothing_is(run):
    usage = run.table("feature_usage").assign(used=False, p_adjusted=0.9)
    run.write_table("feature_usage", usage)
    told = said(run)
    assert any("No feature was shown to be used" in str(t) for t in told.findings)
    assert any("is not shown to be unused" in t for t in told.caveats)


def test_before_the_analysis_only_what_is_known_is_said(tmp_path):
    told = said(explained_run(tmp_path, labels=False))
    assert [f.title for f in told.facts] == ["Images"]
    assert told.facts[0].note == "without labels"
    assert told.findings == []


def test_degenerate_maps_are_counted(run):
    caveats = " ".join(said(run, {"gradcam": 3}).caveats)
    assert "3 of 24 gradcam maps have no positive attribution" in caveats


def test_what_the_model_was_trained_on_is_asked(run):
    settings = run.path / "run.json"
    facts_of_run = read_record(settings)
    facts_of_run["training"] = {"splits": {"train": {"images": 1816}}}
    settings.write_text(json.dumps(facts_of_run))
    again = type(run).open(run.path)
    assert "was trained on (1,816 images)" in " ".join(said(again).caveats)


def test_splits_of_the_training_that_are_not_alike_are_told(run):
    settings = run.path / "run.json"
    facts_of_run = read_record(settings)
    facts_of_run["training"] = {"unlike": ["train and test are not alike in site"]}
    settings.write_text(json.dumps(facts_of_run))
    told = said(type(run).open(run.path)).caveats
    assert "In the training, train and test are not alike in site." in told


def test_notes_of_the_analysis_are_passed_on(run):
    path = run.path / "analysis.json"
    path.write_text(json.dumps({"alpha": 0.05, "notes": ["3 masks could not be used"]}))
    assert "3 masks could not be used." in said(run).caveats


def with_columns(run, **columns):
    table = run.predictions.assign(**columns)
    table.to_parquet(run.path / "predictions.parquet", index=False)
    return RunFolder.open(run.path)


def test_accuracy_is_that_of_images_without_a_part_in_the_training(run):
    labels = RunSources(run).labels
    known = np.arange(len(labels)) % 3 == 0  # the model is right on these, and wrong elsewhere
    wrong = np.where(labels == "benign", "malignant", "benign")
    predicted, split = np.where(known, labels, wrong), np.where(known, "train", "test")
    told = said(with_columns(run, predicted=predicted, split=split))
    fact = {f.title: f for f in told.facts}["Balanced accuracy"]
    assert fact.value.startswith("0.00 [")
    assert f"{(~known).sum()} images not trained on" in fact.note
    assert "labelled images that had no part in its training the model" in str(told.findings[0])
    assert told.caveats[0] == (
        f"The model was trained on {known.sum()} of these images. Accuracy leaves them out; all "
        "other numbers do not, and gaps may be too small."
    )


def test_where_too_few_are_left_accuracy_is_over_all_and_that_is_said(run):
    told = said(with_columns(run, split="train"))
    assert "not trained on" not in {f.title: f for f in told.facts}["Balanced accuracy"].note
    assert told.caveats[0].startswith("The model was trained on 24 of these images. Too few are")


def test_images_that_a_checkpoint_was_chosen_by_count_as_known(run):
    told = said(with_columns(run, split=np.resize(["val", "test", "train"], 24)))
    assert told.caveats[0].startswith(
        "The model was trained on 8 of these images and 8 were used for model selection "
        "(validation). Accuracy leaves them out"
    )


def test_images_that_are_all_new_need_no_warning(run):
    told = said(with_columns(run, split="test"))
    assert "had no part in its training" in str(told.findings[0])
    assert not any("trained on" in caveat for caveat in told.caveats)


def test_images_under_other_ids_are_not_taken_for_new_ones(run):
    told = said(with_columns(run, split=""))
    assert "had no part" not in str(told.findings[0])
    assert told.caveats[0].startswith("None of these images is in the splits of the model's")


def test_images_of_no_split_are_counted_and_left_out_of_the_accuracy(run):
    told = said(with_columns(run, split=np.resize(["test", "test", "test", ""], 24)))
    assert "Over 18 labelled images that had no part" in str(told.findings[0])
    assert told.caveats[0] == (
        "6 images are in none of the splits of the training; accuracy leaves them out."
    )


def test_images_of_other_origin_in_the_accuracy_are_counted(run):
    told = said(with_columns(run, split=np.resize(["test", "test", "test", "ood"], 24)))
    assert told.caveats[0].startswith("Accuracy is over 18 images like those of the training and 6")


def test_without_labels_nothing_is_said_of_an_accuracy(made, tmp_path):
    run = explained_run(tmp_path, labels=False)
    told = said(with_columns(run, split="train"))
    assert told.caveats[0] == "The model was trained on 24 of these images; gaps may be too small."


def test_verdicts_come_with_the_edit_and_its_control(judged):
    findings = " ".join(map(str, said(judged).findings))
    assert "Used, and it changes decisions: " in findings
    assert "inpaint moves the logit by 0.600 [" in findings
    assert "beyond the same edit elsewhere and flips 20.0 % of decisions against 1.0 %" in findings
    assert facts(judged)["Change decisions"].value == "2 of 4"
    assert facts(judged)["Change decisions"].note == "features that were edited: patches and ruler"


def test_each_verdict_says_what_it_does_not_say_and_others_are_not_explained(judged):
    caveats = " ".join(said(judged).caveats)
    occurring = set(judged.table("verdicts")["verdict"])
    for verdict in VERDICTS:
        assert (f"\u201c{verdict}\u201d: It" in caveats) == (verdict in occurring)


def test_a_dependence_that_no_edit_settles_comes_with_its_interval(judged):
    usage = judged.table("feature_usage")
    usage[["effect_bits", "effect_low", "effect_high"]] = [0.0812, 0.0604, 0.1031]
    judged.write_table("feature_usage", usage)
    verdicts = judged.table("verdicts").assign(verdict=UNCLEAR, p_adjusted=0.002)
    judged.write_table("verdicts", verdicts)
    assert "(0.081 [0.060, 0.103] bits; adjusted p = 0.002)" in " ".join(
        map(str, said(judged).findings)
    )


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.4, "The negative control is not significant:"),
        (0.001, "Warning: a negative control is significant:"),
    ],
)
@pytest.mark.parametrize(
    ("domain", "plain"), [("dermoscopy", "skin"), ("tissue", "tissue"), (None, "background")]
)
def test_an_edit_of_what_is_not_annotated_is_a_control(judged, p, words, domain, plain):
    facts = judged.path / "features.json"
    facts.write_text(json.dumps(read_record(facts) | {"domain": domain}))
    judged.write_table("interventions", judged.table("interventions").assign(p_value=p))
    says = f"{words} editing a patch of plain {plain} against another one moves the logit"
    assert any(str(t).startswith(says) for t in said(judged).findings)


def test_agreement_is_measured_against_maps_of_other_images(judged):
    findings = " ".join(map(str, said(judged).findings))
    assert "attention maps of one image agree more than maps of different images" in findings
    assert "rank correlation 0.41 [0.30, 0.52], chance 0.22" in findings


def test_the_widest_gap_of_groups_stands_beside_random_groups(judged):
    findings = " ".join(map(str, said(judged).findings))
    assert "2 differ significantly, the most by" in findings
    assert "0.310 [0.220, 0.400]; groups assigned at random 0.08" in findings
