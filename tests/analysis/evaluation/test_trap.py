import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats.contingency import association

from tests.analysis import simulate_groups as simulate
from xattn.analysis.evaluation.trap import Side, trap_table
from xattn.analysis.evaluation.trap_sentences import trap_sentences
from xattn.analysis.evaluation.trap_sides import trap_of_predictions
from xattn.analysis.groups.rates import Outcomes, weighted_auc
from xattn.annotations import AnnotatedImage, read_annotations, write_annotations
from xattn.errors import UsageError, XattnError
from xattn.runs import TABLES
from xattn.stats.columns import Column


def table(lean, harder=0.0, n=2000, bootstrap=199, **options):
    sides = simulate.trap_sides(np.random.default_rng(0), n, lean, harder, **options)
    return trap_table(*sides, bootstrap=bootstrap).set_index(["alike_in", "metric"])


def spans(row, what, value):
    return row[f"{what}_low"] <= value <= row[f"{what}_high"]


def test_there_is_a_row_per_correction_and_metric_with_the_promised_columns():
    found = table(0.0).reset_index()
    assert found["alike_in"].drop_duplicates().tolist() == ["nothing", "ruler", "ink", "all"]
    assert found["metric"].drop_duplicates().tolist() == ["balanced_accuracy", "auc"]
    assert set(TABLES["trap"].promised) == set(found.columns)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "auc"])
def test_the_loss_of_a_model_that_leans_on_the_artifact_is_explained_by_it(metric):
    found = table(1.5)
    plain, alike = found.loc[("nothing", metric)], found.loc[("ruler", metric)]
    assert plain["drop_low"] > 0.1
    assert spans(alike, "drop", 0.0)
    assert alike["explained_low"] > 0.1
    assert found.loc[("ink", metric), "explained"] < 0.1 * alike["explained"]
    assert (alike["correlation_amplified"] > 0.2) & (alike["correlation_reversed"] < -0.2)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "auc"])
def test_a_model_that_does_not_lean_on_it_loses_nothing(metric):
    found = table(0.0)
    assert spans(found.loc[("nothing", metric)], "drop", 0.0)
    assert spans(found.loc[("ruler", metric)], "explained", 0.0)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "auc"])
def test_a_loss_that_has_other_reasons_stays_among_images_alike(metric):
    found = table(0.0, harder=1.0)
    alike = found.loc[("ruler", metric)]
    assert alike["drop_low"] > 0.05
    assert spans(alike, "explained", 0.0)


def test_values_are_those_of_a_slow_obvious_twin():
    sides = simulate.trap_sides(np.random.default_rng(1), 400, 0.8)
    found = trap_table(*sides, bootstrap=0).set_index(["alike_in", "metric"])
    present = [side.columns[0].values > 0 for side in sides]
    fraction = np.concatenate(present).mean()
    for name, side, ruler in zip(("amplified", "reversed"), sides, present, strict=True):
        said, accuracy, area = side.outcomes, 0.0, 0.0
        for with_it, weight in ((True, fraction), (False, 1 - fraction)):
            inside = ruler == with_it
            hits = [
                (said.predicted == c)[inside & (said.truth == c)].mean() for c in (0, 1)
            ]  # fmt: skip
            accuracy += weight * np.mean(hits)
            one = np.ones((1, inside.sum()), np.float32)
            own = weighted_auc(one, said.truth[inside] == 1, said.scores[inside, 1])
            area += weight * own[0]
        assert found.loc[("ruler", "balanced_accuracy"), name] == pytest.approx(accuracy)
        assert found.loc[("ruler", "auc"), name] == pytest.approx(area)
    assert found["drop"].to_numpy() == pytest.approx(found["amplified"] - found["reversed"])
    assert found["drop_low"].isna().all()


def test_strata_of_too_few_images_are_left_out_and_counted():
    sides = list(simulate.trap_sides(np.random.default_rng(2), 400, 0.8))
    said, ruler = sides[1].outcomes, sides[1].columns[0]
    rare = ruler.values.copy()
    rare[np.flatnonzero((rare > 0) & (said.truth == 1))[4:]] = 0
    sides[1] = simulate.with_column(sides[1], 0, rare)
    found = trap_table(*sides, bootstrap=99).set_index(["alike_in", "metric"])
    row = found.loc[("ruler", "auc")]
    assert row["n_amplified"] == (sides[0].columns[0].values == 0).sum()
    assert row["n_reversed"] == (rare == 0).sum()
    sides[1] = simulate.with_column(sides[1], 0, said.truth.astype(float))
    nothing = (
        trap_table(*sides, bootstrap=99).set_index(["alike_in", "metric"]).loc[("ruler", "auc")]
    )
    assert nothing["n_reversed"] == 0
    assert np.isnan(nothing[["amplified", "drop", "drop_low", "explained"]].astype(float)).all()


def test_nothing_is_said_to_be_explained_where_only_images_without_the_artifact_are_left():
    first, second = simulate.trap_sides(np.random.default_rng(0), 400, 1.5)
    rare = first.columns[0].values
    rare[np.flatnonzero(rare > 0)[8:]] = 0  # the artifact is in a few images of either class
    found = trap_table(first, second, bootstrap=99)
    rows = found[found["alike_in"] == "ruler"]
    assert rows["drop"].notna().all()
    assert (rows["n_amplified"] == (rare == 0).sum()).all()
    assert rows[["explained", "explained_low", "explained_high"]].isna().all(axis=None)
    (said,) = (s for s in trap_sentences(found) if "alike in ruler" in s)
    assert "what they explain cannot be told" in said


def test_images_of_unknown_presence_count_as_they_are_alone():
    sides = list(simulate.trap_sides(np.random.default_rng(3), 400, 0.8))
    some = sides[0].columns[0].values.copy()
    some[:50] = np.nan
    sides[0] = simulate.with_column(sides[0], 0, some)
    found = trap_table(*sides, bootstrap=0).set_index("alike_in")["n_amplified"]
    assert found["nothing"].tolist() == [400, 400]
    assert found["ruler"].tolist() == [350, 350]


def test_groups_make_wider_intervals_and_few_of_them_none():
    alone = simulate.trap_sides(np.random.default_rng(4), 300, 1.0)
    twice = [
        Side(
            s.outcomes.subset(np.repeat(np.arange(300), 4)),
            np.repeat(np.arange(300), 4),
            tuple(c.of(np.repeat(np.arange(300), 4)) for c in s.columns),
        )
        for s in alone
    ]
    forgot = [Side(s.outcomes, np.arange(1200), s.columns) for s in twice]
    width = {}
    for name, sides in (("kept", twice), ("forgot", forgot)):
        row = trap_table(*sides, bootstrap=199).iloc[0]
        width[name] = row["drop_high"] - row["drop_low"]
    assert width["kept"] > 1.6 * width["forgot"]
    few = [Side(s.outcomes, s.group % 4, s.columns) for s in alone]
    assert trap_table(*few, bootstrap=99)["drop_low"].isna().all()


def test_same_seed_same_table_another_seed_another():
    sides = simulate.trap_sides(np.random.default_rng(5), 200, 1.0)
    first = trap_table(*sides, bootstrap=99, seed=1)
    assert first.equals(trap_table(*sides, bootstrap=99, seed=1))
    assert not first.equals(trap_table(*sides, bootstrap=99, seed=2))


def test_sentences_say_the_drop_and_what_is_left_of_it():
    first, second, *_ = trap_sentences(table(1.5).reset_index())
    assert "where they are reversed: a drop of 0." in first
    assert second.startswith("Among images alike in ruler the drop is ")


@pytest.fixture
def predicted(tmp_path):
    """Predictions of two splits and the annotation file that knows their rulers."""
    rng = np.random.default_rng(0)
    n, rows, images = 240, [], []
    for i in range(n):
        split, label = ("test", "ood")[i % 2], int(rng.random() < 0.5)
        ruler = rng.random() < (0.8 if (label == 1) == (split == "test") else 0.2)
        score = rng.normal() + label + 2 * ruler - 1.5
        rows.append({
            "image_id": f"i{i}", "split": split, "group": None, "label": ("b", "m")[label],
            "predicted": ("b", "m")[int(score > 0)], "logit_b": 0.0, "logit_m": score,
        })  # fmt: skip
        values = {"ruler": int(ruler), "ink": 0, "age": 40}
        images.append(
            AnnotatedImage(f"i{i}", tmp_path / f"i{i}.png", ("b", "m")[label], values=values)
        )
    for image in images:
        Image.new("RGB", (4, 4)).save(image.file)
    kinds = {"ruler": "artifact", "ink": "artifact", "age": "metadata"}
    path = write_annotations(tmp_path / "a.json", images, labels=["b", "m"], features=kinds)
    return pd.DataFrame(rows), read_annotations(path)


def test_predictions_of_test_and_ood_are_the_two_sides(predicted):
    said, known = predicted
    found = trap_of_predictions(said, known, ["ruler"], ["b", "m"], bootstrap=99)
    row = found.set_index(["alike_in", "metric"]).loc[("nothing", "balanced_accuracy")]
    own = said[said["split"] == "ood"]
    recall = [(own["predicted"] == c)[own["label"] == c].mean() for c in ("b", "m")]
    assert row["reversed"] == pytest.approx(np.mean(recall))
    assert row["drop_low"] > 0
    everything = trap_of_predictions(said, known, ["all"], ["b", "m"], bootstrap=99)
    assert everything.equals(found)  # no image shows ink
    on_val = said.assign(split=said["split"].replace("test", "val"))
    assert trap_of_predictions(on_val, known, ["ruler"], ["b", "m"], bootstrap=99).equals(found)


def test_what_cannot_be_compared_is_refused(predicted):
    said, known = predicted
    with pytest.raises(XattnError, match=r"ood and test \(or val\) to compare, but got test"):
        trap_of_predictions(said[said["split"] == "test"], known, ["ruler"], ["b", "m"])
    with pytest.raises(UsageError, match="did you mean 'ruler'"):
        trap_of_predictions(said, known, ["rulr"], ["b", "m"])
    with pytest.raises(XattnError, match="of one sort alone"):
        trap_of_predictions(said, known, ["ink"], ["b", "m"])


def test_evaluate_writes_the_table_if_it_is_asked_to(tmp_path, capsys):
    import torch

    import xattn.cli
    from xattn.images import Preprocessing
    from xattn.models import build, save_checkpoint
    from xattn.splits.splits import write_splits

    rng = np.random.default_rng(0)
    images, splits = [], {}
    for i in range(48):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"i{i}.png")
        values = {"ruler": i // 2 % 2}
        images.append(
            AnnotatedImage(f"i{i}", tmp_path / f"i{i}.png", ("b", "m")[i % 2], values=values)
        )
        splits[f"i{i}"] = "val" if i < 24 else "ood"
    notes = write_annotations(
        tmp_path / "a.json", images, labels=["b", "m"], features={"ruler": "artifact"}
    )
    (tmp_path / "splits.csv").write_text(write_splits(splits))
    torch.manual_seed(0)
    save_checkpoint(
        tmp_path / "model.pt", build("test_resnet", 2), architecture="test_resnet",
        classes=["b", "m"], preprocessing=Preprocessing(size=(32, 32)),
    )  # fmt: skip
    words = ["evaluate", "--ckpt", str(tmp_path / "model.pt"), "--annotations", str(notes)]
    words += ["--splits", str(tmp_path / "splits.csv"), "--out", str(tmp_path / "run")]
    words += ["--split", "val", "--split", "ood", "--bootstrap", "99", "--trap", "ruler", "--json"]
    assert xattn.cli.main(words) == 0
    said = json.loads(capsys.readouterr().out)
    stored = xattn.RunFolder.open(tmp_path / "run").table("trap")
    assert stored["alike_in"].tolist() == ["nothing", "nothing", "ruler", "ruler"]
    assert len(said["trap"]) == 4
    assert any("alike in ruler" in line for line in said["sentences"])


def test_with_three_classes_the_correlation_is_cramers_v():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 60)
    scores = rng.normal(size=(180, 3)) + np.eye(3)[truth]
    said = Outcomes(truth, scores.argmax(1), scores, list("abc"), 2)
    sides = []
    for chances in ((0.9, 0.5, 0.1), (0.1, 0.5, 0.9)):
        ruler = (rng.random(180) < np.array(chances)[truth]).astype(float)
        sides.append(Side.of(said, None, [Column("ruler", "artifact", "presence", ruler)]))
    found = trap_table(*sides, bootstrap=99).set_index(["alike_in", "metric"])
    row = found.loc[("ruler", "auc")]
    for side, name in zip(sides, ("amplified", "reversed"), strict=True):
        counts = pd.crosstab(side.columns[0].values, truth)
        assert row[f"correlation_{name}"] == pytest.approx(association(counts.to_numpy()))
        assert 0.4 < row[f"correlation_{name}"] < 1
