import numpy as np
import pandas as pd
import pytest

from tests.figures.artists import drawn, overhang, points, spans, words
from tests.figures.populated import complete_run, explained_run
from xattn.figures.paper import trap
from xattn.figures.paper.trap import draw_trap
from xattn.figures.registry import FIGURES, NothingToDrawError, save_figures

METRICS = ("balanced_accuracy", "auc")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("trapped"), n=6)


@pytest.fixture(scope="module")
def fig(run):
    return drawn(draw_trap, run)


@pytest.fixture
def table(run):
    """The table as it is, put back after the test."""
    before = run.table("trap")
    yield before.copy()
    run.write_table("trap", before)


def ends(table, *columns):
    """Return the intervals of some columns, sorted: (n, 2)."""
    parts = [table[[f"{c}_low", f"{c}_high"]].dropna().to_numpy() for c in columns]
    return np.sort(np.concatenate(parts), axis=0)


@pytest.mark.parametrize("line", [0, 1])
def test_both_sides_the_drop_and_what_is_explained_stand_with_their_intervals(fig, table, line):
    left, middle, right = fig.axes[3 * line : 3 * line + 3]
    own = table[table["metric"] == METRICS[line]]
    plain = (own["drop"] + own["explained"]).dropna()
    for ax, values, columns in (
        (left, np.append(own["amplified"], own["reversed"]), ("amplified", "reversed")),
        (middle, np.append(own["drop"], plain), ("drop",)),
        (right, own["explained"].dropna(), ("explained",)),
    ):
        np.testing.assert_allclose(sorted(x for x, _, _ in points(ax)), np.sort(values))
        np.testing.assert_allclose(np.sort(spans(ax), axis=0), ends(own, *columns))


def test_all_images_stand_above_those_alike_in_what_explains_most(fig):
    named = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert named == [
        "all images  (300 / 300)", "Among images alike in", "ruler  (300 / 300)",
        "ink  (300 / 300)", "all of these  (300 / 300)",
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [("b", "m"), ("a", "b", "c", "d")])
def test_chance_is_that_of_the_number_of_classes_and_of_ranks(table, tmp_path, classes):
    run = explained_run(tmp_path, n=4, classes=classes)
    run.write_table("trap", table)
    axes = drawn(draw_trap, run).axes
    dashed = [[line.get_xdata()[0] for line in ax.lines] for ax in (axes[0], axes[3])]
    assert dashed == [[1 / len(classes)], [0.5]]


def test_drops_and_explanations_have_one_scale_with_zero_on_it(fig):
    ((low, high),) = {fig.axes[i].get_xlim() for i in (1, 2, 4, 5)}
    assert low < 0 < high


def test_a_row_of_too_few_images_says_so(run, table):
    lost = table["alike_in"] == "all"
    table.loc[lost, [c for c in table if c.startswith(("ampl", "rev", "drop", "expl"))]] = np.nan
    table.loc[lost, ["n_amplified", "n_reversed"]] = 0
    run.write_table("trap", table)
    said = words(drawn(draw_trap, run))
    assert said.count("too few images") == 2  # one a metric
    assert "all of these  (0 / 0)" in said


def test_a_single_artifact_of_a_single_metric_is_a_line_of_three_panels(run, table):
    alone = table["alike_in"].isin(["nothing", "ruler"]) & (table["metric"] == "auc")
    run.write_table("trap", table[alone])
    fig = drawn(draw_trap, run)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["a  AUC", "b  Drop", "c  Explained"]
    assert "all of these" not in words(fig)


def test_a_table_without_numbers_is_nothing_to_draw(run, table, tmp_path):
    run.write_table("trap", table.assign(drop=np.nan))
    with pytest.raises(NothingToDrawError, match=r"drops in .*trap\.csv"):
        save_figures(run, only="trap", out=tmp_path)


def test_without_the_table_the_command_that_writes_it_is_named(tmp_path):
    why = FIGURES["trap"].why_not(explained_run(tmp_path, n=4))
    assert "xattn evaluate" in why
    assert "--trap" in why


def test_more_artifacts_than_fit_leave_those_that_explain_least(run, table, monkeypatch):
    monkeypatch.setattr(trap, "MOST_FEATURES", 4)
    one = table[table["alike_in"] == "ruler"]
    others = [
        one.assign(alike_in=f"a_rather_long_name_of_artifact_{i}", explained=-float(i) / 1000)
        for i in range(9)
    ]
    run.write_table("trap", pd.concat([table, *others]))
    fig = drawn(draw_trap, run, venue="lncs")
    assert overhang(fig) < 0.2
    said = words(fig)
    assert "7 more in the table" in said
    assert "ruler  (" in said
    assert "all of these  (" in said
    assert "artifact_8" not in said
