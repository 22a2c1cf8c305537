"""A network that did not learn the label is told, and nothing is said where that is not known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.analysis.annotated import plant
from tests.fabricate import fabricate_run
from xattn.analysis.evaluation.table import performance_table
from xattn.analysis.feature_usage import feature_usage
from xattn.analysis.label_auc import LabelAuc, label_auc
from xattn.analysis.positive import Positive
from xattn.analysis.scored import labelled
from xattn.runs.atomic import read_record

TWO, FOUR = ("benign", "malignant"), ("bcc", "bkl", "mel", "nv")


def auc_of(
    root, n=120, classes=TWO, learnt=0.0, labels=None, named=(), groups=None
) -> LabelAuc | None:
    """Return what is said of a run whose logits of the label are higher by `learnt`."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(classes), n)
    logits = rng.normal(size=(n, len(classes)))
    logits[np.arange(n), truth] += learnt
    run = fabricate_run(root, logits, {}, classes=classes)
    known = pd.Series([classes[i] for i in truth] if labels is None else labels(truth, classes))
    return label_auc(labelled(run, known, Positive.of(classes, named)), groups, 199, 0)


@pytest.mark.parametrize(
    ("classes", "named", "told"),
    [
        (TWO, (), "malignant from benign"),
        (TWO, "benign", "benign from malignant"),
        (FOUR, (), "the classes apart"),
        (FOUR, "mel", "mel from rest"),
        (FOUR, "mel,bcc", "bcc or mel from rest"),
    ],
)
def test_a_label_that_was_not_learnt_is_told_and_one_that_was_is_not(
    classes, named, told, tmp_path
):
    chance = auc_of(tmp_path / "chance", classes=classes, named=named)
    assert chance.note.startswith(f"On these 120 images the model is not shown to tell {told} (AUC")
    assert "\n" not in chance.note
    learnt = auc_of(tmp_path / "learnt", classes=classes, named=named, learnt=1.5)
    assert learnt.low > 0.5
    assert learnt.note == ""


NOT_KNOWN = {
    "no label": lambda truth, classes: [None] * len(truth),
    "one class": lambda truth, classes: [classes[0]] * len(truth),
    "labels that are no classes": lambda truth, classes: ["other"] * len(truth),
    "one image of a class": lambda truth, classes: [classes[0]] * (len(truth) - 1) + [classes[1]],
}


@pytest.mark.parametrize("classes", [TWO, FOUR], ids=len)
@pytest.mark.parametrize("labels", NOT_KNOWN)
def test_nothing_is_said_where_labels_do_not_allow_it(labels, classes, tmp_path):
    assert auc_of(tmp_path, 40, classes, labels=NOT_KNOWN[labels]) is None


def test_nothing_is_said_of_fewer_than_five_groups(tmp_path):
    assert auc_of(tmp_path / "few", groups=np.arange(120) % 4) is None
    assert auc_of(tmp_path / "more", groups=np.arange(120) % 8) is not None


def test_a_score_that_is_the_same_for_all_images_tells_nothing(tmp_path):
    run = fabricate_run(tmp_path, np.zeros((20, 2)), {})
    known = labelled(run, pd.Series(TWO * 10), Positive.of(TWO))
    assert "(AUC 0.50, 95 % interval 0.50 to 0.50" in label_auc(known, None, 99, 0).note


def test_the_number_is_that_of_an_evaluation_of_the_same_images(tmp_path):
    rng = np.random.default_rng(1)
    run = fabricate_run(tmp_path, rng.normal(size=(50, 2)), {})
    label, group = pd.Series(TWO * 25), pd.Series(rng.integers(0, 30, 50).astype(str))
    ours = label_auc(labelled(run, label, Positive.of(TWO)), group, 199, 3)
    part = run.predictions.assign(label=label, group=group, split="test", domain=None)
    table = performance_table(part, list(TWO), positive=Positive.of(TWO), bootstrap=199, seed=3)
    (theirs,) = table[(table["metric"] == "auc") & (table["domain"] == "all")].to_dict("records")
    assert ours.value == pytest.approx(theirs["value"], abs=1e-6)
    assert (ours.low, ours.high) == pytest.approx((theirs["low"], theirs["high"]), abs=0.05)


@pytest.mark.parametrize("learnt", [True, False], ids=["learnt", "not learnt"])
def test_an_analysis_records_it_and_says_it_first(learnt, tmp_path):
    planted = plant(tmp_path, 60)
    if not learnt:  # the network knows nothing of these
        known = json.loads(planted.annotations.read_text())
        for image, label in zip(known["images"], TWO * 30, strict=True):
            image["label"] = label
        planted.annotations.write_text(json.dumps(known))
    found = feature_usage(
        planted.run, planted.annotations, permutations=99, bootstrap=99, interventions=0,
        concepts=False, given="none",
    )  # fmt: skip
    facts = read_record(planted.run.path / "analysis.json")["label_auc"]
    assert facts["n"] == 60
    assert (facts["note"] == "") is learnt
    said = [note for note in found.notes if "not shown to tell" in note]
    assert said == ([] if learnt else [facts["note"]])
    assert learnt or found.notes[0] == said[0]
