from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.figures.artists import drawn, overhang, points, spans, words
from tests.figures.made_tables import fairness_table
from tests.figures.populated import complete_run
from xattn.analysis.groups.fairness import METRICS
from xattn.figures import style
from xattn.figures.paper.bias import draw_bias
from xattn.figures.paper.fairness import draw_fairness
from xattn.figures.registry import NothingToDrawError, save_figures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("fair"), n=6)


@pytest.fixture(scope="module")
def fig(run):
    return drawn(draw_fairness, run)


@pytest.fixture
def table(run):
    """The table as it is, put back after the test."""
    before = run.table("fairness")
    yield before.copy()
    run.write_table("fairness", before)


@pytest.mark.parametrize(("panel", "metric"), list(enumerate(METRICS)))
def test_each_value_has_its_interval_and_stands_beside_chance(fig, table, panel, metric):
    ax = fig.axes[panel]
    scale = 1 if metric.endswith("ratio") else 100
    own = table[table["metric"] == metric]
    shown = sorted(x for x, _, _ in points(ax))
    np.testing.assert_allclose(shown, sorted(scale * np.append(own["value"], own["chance"])))
    ends = scale * own[["low", "high"]].to_numpy()
    np.testing.assert_allclose(np.sort(spans(ax), axis=0), np.sort(ends, axis=0))


def test_the_line_stands_where_groups_are_treated_alike(fig):
    assert [[line.get_xdata()[0] for line in ax.lines] for ax in fig.axes] == [[0], [1], [0]]


def test_significant_gaps_are_filled_in_the_colour_of_their_kind(fig, table):
    for ax, metric in zip(fig.axes, METRICS, strict=True):
        own = table[table["metric"] == metric]
        scale = 1 if metric.endswith("ratio") else 100
        hollow = scale * own.loc[own["p_adjusted"] >= 0.05, "value"]
        assert 0 < len(hollow) < len(own)
        np.testing.assert_allclose([x for x, _, filled in points(ax) if not filled], hollow)
    handles = {h.get_label(): to_hex(h.get_color()) for h in fig.legends[0].legend_handles}
    for kind, label in (("artifact", "artifacts"), ("metadata", "metadata")):
        assert handles[f"{label}, 95 % interval"] == style.KIND_COLOURS[kind].lower()


def test_rows_say_how_many_images_and_groups_were_compared_the_widest_gap_on_top(fig, table):
    named = [t.get_text() for t in fig.axes[0].get_yticklabels()]
    assert named == [
        "Artifacts", "patches  (24; 2)", "ruler  (1,024; 2)", "Metadata", "age band  (2,024; 3)",
    ]  # fmt: skip
    widest = table.groupby("feature")["value"].first()
    assert widest["patches"] > widest["ruler"] > widest["age_band"]


def test_features_that_could_not_be_compared_are_counted(run, table):
    lost = table["feature"] == "ruler"
    table.loc[lost, ["value", "low", "high", "chance", "p_value", "p_adjusted"]] = np.nan
    run.write_table("fairness", table)
    said = words(drawn(draw_fairness, run))
    assert "1 feature with too few images" in said
    assert "ruler" not in said


def test_a_table_without_numbers_is_nothing_to_draw(run, table, tmp_path):
    run.write_table("fairness", table.assign(value=np.nan))
    with pytest.raises(NothingToDrawError, match=r"two groups of enough images in .*fairness\.csv"):
        save_figures(run, only="fairness", out=tmp_path)


def test_long_names_stay_on_a_narrow_page(run, table):
    features = {f"a_rather_long_name_of_artifact_{i}": "artifact" for i in range(9)}
    run.write_table("fairness", fairness_table(features))
    fig = drawn(draw_fairness, run, venue="lncs")
    assert overhang(fig) < 0.2


def test_gaps_of_bias_have_the_colours_too_and_titles_that_fit_a_narrow_page(run):
    fig = drawn(draw_bias, run, venue="lncs")
    assert overhang(fig) < 0.2
    titles = [ax._left_title.get_window_extent() for ax in fig.axes]
    assert all(a.x1 < b.x0 for a, b in pairwise(titles))
    (handle,) = [h for h in fig.legends[0].legend_handles if "artifacts" in h.get_label()]
    assert to_hex(handle.get_color()) == style.KIND_COLOURS["artifact"].lower()
