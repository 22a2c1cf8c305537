import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from xattn.analysis.evaluation.confusion import matrix, per_class
from xattn.analysis.evaluation.table import confusion_table, performance_table, reliability_table
from xattn.analysis.positive import Positive
from xattn.runs import TABLES

NAMES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def said(counts, seed=0, split="test"):
    rng = np.random.default_rng(seed)
    classes = list(counts)
    truth = np.repeat(np.arange(len(classes)), list(counts.values()))
    logits = rng.normal(size=(len(truth), len(classes))) + np.eye(len(classes))[truth]
    table = pd.DataFrame(logits, columns=[f"logit_{c}" for c in classes])
    label = np.array(classes, dtype=object)[truth]
    group = [f"{split}{i // 2}" for i in range(len(truth))]
    return table.assign(label=label, split=split, domain="", group=group), truth, logits


@pytest.mark.parametrize("rare", [0, 1, 3])
@pytest.mark.parametrize("classes", [2, 3, 7, 8])
def test_counts_are_scikit_learns_and_classes_of_few_images_or_none_stay(classes, rare):
    counts = dict.fromkeys(NAMES[:classes], 40) | {NAMES[1]: rare}
    table, truth, logits = said(counts)
    found = confusion_table(table, list(counts), bootstrap=99)
    assert list(TABLES["confusion"].promised) == list(found.columns)
    expected = sk.confusion_matrix(truth, logits.argmax(1), labels=range(classes))
    assert (matrix(found, "test").to_numpy() == expected).all()
    assert list(matrix(found, "test").columns) == list(counts)
    assert found.groupby("label", sort=False)["n"].sum().tolist() == list(counts.values())
    of_rare = found[found["label"] == NAMES[1]]
    assert (of_rare["images"] == rare).all()
    assert of_rare["value"].isna().all() == (rare == 0)
    of_others = found[found["label"] == NAMES[0]]
    assert (of_others["low"] <= of_others["value"]).all()
    assert (of_others["value"] <= of_others["high"]).all()
    assert of_others["value"].sum() == pytest.approx(1)
    assert of_others["chance"].sum() == pytest.approx(1)


def test_each_split_has_its_own_matrix():
    parts = [said({"a": 20, "b": 30}, i, split)[0] for i, split in enumerate(("test", "ood"))]
    found = confusion_table(pd.concat(parts), ["a", "b"], bootstrap=99)
    assert found["split"].tolist() == ["test"] * 4 + ["ood"] * 4
    assert found["n"].sum() == 100


def test_too_few_groups_have_no_interval():
    table = said({"a": 4, "b": 4})[0]
    found = confusion_table(table, ["a", "b"], bootstrap=99)
    assert found[["low", "high"]].isna().all(axis=None)
    assert found["value"].notna().all()


@pytest.mark.parametrize("rare", [0, 1, 3])
@pytest.mark.parametrize("classes", [3, 7, 8])
def test_means_are_over_the_classes_with_images(classes, rare):
    counts = dict.fromkeys(NAMES[:classes], 40) | {NAMES[1]: rare}
    table, truth, logits = said(counts)
    found = performance_table(table, list(counts), bootstrap=99).set_index(["metric", "class"])
    predicted = logits.argmax(1)
    there = np.unique(truth)
    balanced = found.loc[("balanced_accuracy", "all")]
    assert balanced["value"] == pytest.approx(
        sk.recall_score(truth, predicted, labels=there, average="macro")
    )
    assert balanced["chance"] == pytest.approx(1 / len(there))
    assert np.isnan(balanced["low"]) == (rare in (1, 3))  # lacking in too many replicates
    assert found.loc[("f1", "all"), "value"] == pytest.approx(
        sk.f1_score(truth, predicted, labels=there, average="macro")
    )


def test_each_class_has_its_precision_recall_and_f1_with_interval_and_chance():
    counts = dict.fromkeys(NAMES[:7], 30)
    table, truth, logits = said(counts)
    both = [
        make(table, list(counts), bootstrap=199) for make in (performance_table, confusion_table)
    ]
    found = per_class(*both, "test")
    expected = sk.precision_recall_fscore_support(truth, logits.argmax(1))
    for i, metric in enumerate(("precision", "sensitivity", "f1")):
        assert found[metric].to_numpy() == pytest.approx(expected[i])
        assert (found[f"{metric}_low"] <= found[metric]).all()
        assert (found[f"{metric}_high"] >= found[metric]).all()
        assert found[f"{metric}_chance"].between(0.05, 0.3).all()
    assert found["images"].tolist() == [30] * 7


@pytest.mark.parametrize("named", ["mel", ["bcc", "mel"]])
def test_a_class_against_the_rest_keeps_the_models_decisions(named):
    counts = dict.fromkeys(NAMES[:7], 30)
    table, truth, logits = said(counts)
    spoken = Positive.of(NAMES[:7], named)
    members = [NAMES.index(name) for name in spoken.members]
    found = performance_table(table, NAMES[:7], positive=spoken, bootstrap=99)
    found = found.set_index(["metric", "class"])
    is_in, taken = np.isin(truth, members), np.isin(logits.argmax(1), members)
    assert found.loc[("sensitivity", spoken.name), "value"] == pytest.approx(taken[is_in].mean())
    assert found.loc[("precision", spoken.name), "value"] == pytest.approx(is_in[taken].mean())
    assert found.loc[("accuracy", "all"), "value"] == pytest.approx((taken == is_in).mean())
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    area = sk.roc_auc_score(is_in, p[:, members].sum(1))
    assert found.loc[("auc", "all"), "value"] == pytest.approx(area)
    cells = confusion_table(table, NAMES[:7], positive=spoken, bootstrap=99)
    assert matrix(cells, "test").loc["rest", "rest"] == (~is_in & ~taken).sum()
    assert len(reliability_table(table, NAMES[:7], positive=spoken, bootstrap=99))


def test_of_two_classes_the_one_named_is_ranked():
    table, truth, logits = said({"a": 40, "b": 20})
    turned = performance_table(table, "ab", positive=Positive.of("ab", "a"), bootstrap=99)
    row = turned[turned["metric"] == "average_precision"].iloc[0]
    assert row["class"] == "a"
    expected = sk.average_precision_score(truth == 0, logits[:, 0] - logits[:, 1])
    assert row["value"] == pytest.approx(expected)
    assert row["chance"] == pytest.approx(2 / 3)
