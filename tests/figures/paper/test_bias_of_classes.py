"""The figure of gaps where there are many classes and many features."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from tests.figures.artists import drawn, overhang, points, words
from tests.figures.populated import explained_run
from xattn.figures.paper.bias import draw_bias
from xattn.figures.paper.bias_of_classes import MOST_CLASSES
from xattn.figures.registry import NothingToDrawError

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def gaps(features, classes, empty=()):
    """bias.csv of so many features; `empty` are metrics without a number."""
    rng = np.random.default_rng(0)
    rows = []
    metrics = ["balanced_accuracy", *(f"{r}[{c}]" for r in ("tpr", "fpr") for c in classes), "auc"]
    for i in range(features):
        for metric in metrics:
            gap = np.nan if metric in empty else rng.normal(0, 0.1)
            rows.append({
                "feature": f"a_long_name_of_a_feature_{i}", "metric": metric, "n_present": 1000 + i,
                "n_absent": 9000, "present": 0.7 + gap, "absent": 0.7, "gap": gap,
                "gap_low": gap - 0.05, "gap_high": gap + 0.05, "p_value": 0.2,
                "p_adjusted": np.nan if np.isnan(gap) else 0.01 if i == 3 else 1.0,
                "kind": "artifact" if i % 2 else "metadata",
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def run(tmp_path):
    return explained_run(tmp_path, n=16, classes=CLASSES)


@pytest.mark.parametrize("venue", ["default", "lncs"])
@pytest.mark.parametrize("classes", [3, 7, 8])
def test_thirty_features_of_many_classes_fit_a_page(run, classes, venue):
    run.write_table("bias", gaps(30, CLASSES[:classes]))
    fig = drawn(draw_bias, run, venue=venue)
    assert fig.get_figheight() * 25.4 < 240
    assert overhang(fig) < 0.2
    assert len(fig.axes) == 4
    titles = [ax._left_title.get_window_extent() for ax in fig.axes]
    assert all(a.x1 < b.x0 for a, b in pairwise(titles))
    numbers = [t for ax in fig.axes[2:] for t in ax.texts]
    assert len(numbers) == 30 * 2 * classes
    for ax in fig.axes[2:]:
        row = sorted((t for t in ax.texts if t.get_position()[1] == ax.texts[0].get_position()[1]
                      and t.get_text()), key=lambda t: t.get_position()[0])  # fmt: skip
        boxes = [t.get_window_extent() for t in row]
        assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))


def test_every_gap_is_a_square_in_the_column_of_its_class_and_a_star_says_significant(run):
    table = gaps(5, CLASSES[:4])
    run.write_table("bias", table)
    fig = drawn(draw_bias, run)
    rates = fig.axes[2]
    assert [t.get_text() for t in rates.get_xticklabels()] == list(CLASSES[:4])
    assert len(points(rates)) == 20
    stars = [t for t in rates.texts if t.get_text().endswith("*")]
    assert len(stars) == 4
    found = table[(table["p_adjusted"] < 0.05) & table["metric"].str.startswith("tpr")]
    assert [t.get_text() for t in stars] == [
        f"{100 * g:.0f}*".replace("-", "−").replace("−0*", "0*") for g in found["gap"]
    ]


def test_panels_without_a_number_are_left_out_and_rows_counted(run):
    table = gaps(4, CLASSES[:3], empty=("balanced_accuracy", "auc", "tpr[bcc]"))
    lost = table["feature"] == table["feature"].iloc[0]
    table.loc[lost, ["gap", "gap_low", "gap_high", "p_adjusted"]] = np.nan
    run.write_table("bias", table)
    fig = drawn(draw_bias, run)
    assert [ax.get_title(loc="left")[3:] for ax in fig.axes] == ["Sensitivity", "False positives"]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["akiec", "bkl"]
    assert "1 with too few images" in words(fig)
    run.write_table("bias", table.assign(gap=np.nan))
    with pytest.raises(NothingToDrawError, match="enough images"):
        drawn(draw_bias, run)


def test_more_classes_than_fit_are_those_of_least_p_and_the_rest_is_counted(run):
    many = [f"class {i}" for i in range(MOST_CLASSES + 3)]
    table = gaps(3, many)
    table.loc[table["metric"] == "tpr[class 12]", "p_adjusted"] = 0.001
    run.write_table("bias", table)
    fig = drawn(draw_bias, run)
    named = [t.get_text() for t in fig.axes[2].get_xticklabels()]
    assert len(named) == MOST_CLASSES
    assert named[0] == "class 12"
    assert "more classes in the table" in words(fig)


def test_classes_stand_in_the_order_of_the_model_whatever_was_measured_first(run):
    table = gaps(3, CLASSES[:4])
    first = (table["feature"] == table["feature"].iloc[0]) & (table["metric"] == "tpr[akiec]")
    table.loc[first, ["gap", "gap_low", "gap_high", "p_adjusted"]] = np.nan
    run.write_table("bias", table)
    for ax in drawn(draw_bias, run).axes[2:]:
        assert [t.get_text() for t in ax.get_xticklabels()] == list(CLASSES[:4])
