"""Groups and artifacts where there are many classes, some of few images."""

import numpy as np
import pandas as pd
import pytest

from tests.fabricate import fabricate_run
from xattn.analysis.groups.bias import bias_table
from xattn.analysis.groups.fairness import fairness_table
from xattn.analysis.positive import Positive
from xattn.analysis.scored import FEWEST_OF_CLASS, labelled
from xattn.stats.columns import as_column

QUICK = {"permutations": 99, "bootstrap": 99}
MANY = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def made(tmp_path, counts, seed=0, gap=0.0):
    """A run of so many images of each class, an artifact, and a site; the artifact raises the
    recall of the first class by `gap` logits."""
    rng = np.random.default_rng(seed)
    classes = tuple(counts)
    truth = np.repeat(np.arange(len(classes)), list(counts.values()))
    ruler = np.arange(len(truth)) % 2
    logits = rng.normal(size=(len(truth), len(classes)))
    logits[np.arange(len(truth)), truth] += 1.0
    logits[:, 0] += gap * ruler
    labels = [classes[i] for i in truth]
    run = fabricate_run(tmp_path, logits, {}, labels, classes)
    columns = [
        as_column(ruler, "ruler", "artifact"),
        as_column(np.array(list("abc"))[np.arange(len(truth)) % 3], "site", "metadata"),
    ]
    return run, pd.Series(labels), columns


def tables(run, labels, columns, positive=None):
    known = labelled(run, labels, Positive.of(run.classes, positive))
    both = [make(columns, known.outcomes, **QUICK) for make in (bias_table, fairness_table)]
    return known, *both


@pytest.mark.parametrize("rare", [0, 1, 3])
@pytest.mark.parametrize("classes", [3, 7, 8])
def test_a_rare_class_costs_the_others_nothing(tmp_path, classes, rare):
    counts = dict.fromkeys(MANY[:classes], 40) | {MANY[1]: rare}
    known, bias, fairness = tables(*made(tmp_path, counts))
    means = bias[bias["metric"].isin(["balanced_accuracy", "auc"])]
    ruler = means[means["feature"] == "ruler"]
    assert ruler["gap"].notna().all()
    others = [name for name in counts if name != MANY[1]]
    assert (ruler["classes"] == "; ".join(others)).all()
    assert not bias["metric"].str.contains(MANY[1]).any()
    odds = fairness[fairness["feature"] == "ruler"]
    assert odds[["value", "chance", "p_value"]].notna().all(axis=None)
    assert (odds["classes"] == "; ".join(others)).all()
    assert known.notes() == [
        f"bias.csv and fairness.csv compare rates of {', '.join(others)}, not of classes of fewer "
        f"than {FEWEST_OF_CLASS} images: {MANY[1]} ({rare})"
    ]


def test_means_are_of_the_classes_with_enough_images_on_either_side(tmp_path):
    run, labels, columns = made(tmp_path, {"a": 60, "b": 60, "c": 60})
    few = columns[0].values.copy()
    few[np.flatnonzero(labels == "c")[4:]] = 0  # two images of c with it
    known = labelled(run, labels, Positive.of(run.classes))
    found = bias_table([as_column(few, "ink", "artifact")], known.outcomes, **QUICK)
    row = found[found["metric"] == "balanced_accuracy"].iloc[0]
    assert row["classes"] == "a; b"
    right = (run.predictions["predicted"] == labels).to_numpy()
    expected = np.mean([right[(labels == c) & (few > 0)].mean() for c in "ab"])
    assert row["present"] == pytest.approx(expected)
    assert np.isnan(found.set_index("metric").loc["tpr[c]", "gap"])


@pytest.mark.parametrize("counts", [{"a": 40, "b": 3, "c": 1}, {"a": 5, "b": 3, "c": 1}])
def test_one_common_class_or_none_leaves_means_empty_and_says_so(tmp_path, counts):
    known, bias, fairness = tables(*made(tmp_path, counts))
    assert bias.loc[bias["metric"] == "balanced_accuracy", "gap"].isna().all()
    assert "fewer than 20 images" in known.notes()[0]
    assert len(fairness) == 6


@pytest.mark.parametrize("classes", [3, 7, 8])
def test_a_class_against_the_rest_is_the_two_class_case(tmp_path, classes):
    run, labels, columns = made(tmp_path, dict.fromkeys(MANY[:classes], 30))
    known, bias, fairness = tables(run, labels, columns, MANY[1])
    assert set(bias["metric"]) == {"balanced_accuracy", "tpr", "fpr", "auc"}
    row = bias.set_index(["feature", "metric"]).loc[("ruler", "tpr")]
    mine = (labels == MANY[1]).to_numpy()
    hit = (run.predictions["predicted"] == MANY[1]).to_numpy()
    ruler = columns[0].values > 0
    assert row["present"] == pytest.approx(hit[mine & ruler].mean())
    assert known.counts == {"rest": 30 * (classes - 1), MANY[1]: 30}
    assert fairness["value"].notna().all()


def test_a_class_against_the_rest_is_tested_within_the_labels_as_they_are(tmp_path):
    """Rulers go with b among the rest, and b is taken for a: no dependence within a label."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 200)
    ruler = rng.random(600) < np.array([0.5, 0.9, 0.1])[truth]
    logits = rng.normal(size=(600, 3)) + np.array([[2, 0, 0], [2, 1, 0], [0, 0, 3]])[truth]
    labels = pd.Series(np.array(list("abc"))[truth])
    run = fabricate_run(tmp_path, logits, {}, list(labels), ("a", "b", "c"))
    known = labelled(run, labels, Positive.of("abc", "a"))
    found = bias_table([as_column(ruler, "ruler", "artifact")], known.outcomes, **QUICK)
    row = found.set_index("metric").loc["fpr"]
    assert row["gap"] > 0.2  # more of those with a ruler are b
    assert row["p_value"] > 0.05


def test_a_dependence_of_one_class_is_found_among_seven(tmp_path):
    counts = dict.fromkeys(MANY[:7], 60) | {"df": 3}
    _, bias, _ = tables(*made(tmp_path, counts, gap=4.0))
    row = bias.set_index(["feature", "metric"]).loc[("ruler", "tpr[akiec]")]
    assert row["gap"] > 0.2
    assert row["p_value"] == 1 / (1 + 99) or row["p_value"] < 0.01
