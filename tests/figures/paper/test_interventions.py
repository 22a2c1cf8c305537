import numpy as np
import pytest

from tests.figures.artists import drawn, overhang, points, spans, words
from tests.figures.populated import complete_run
from xattn.analysis.verdicts.rules import SMALLEST_CHANGE
from xattn.figures import registry, style
from xattn.figures.paper.interventions import draw_interventions
from xattn.figures.registry import NothingToDrawError, save_figures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("edited"), n=6)


@pytest.fixture
def table(run):
    """The table as it is, put back after the test."""
    before = run.table("interventions")
    yield before.copy()
    run.write_table("interventions", before)


def test_every_edit_stands_beside_its_control_with_its_interval(run, table):
    fig = drawn(draw_interventions, run)
    left = fig.axes[0]
    shown = sorted(x for x, _, _ in points(left))
    np.testing.assert_allclose(
        shown, sorted([*table["delta_logit"], *table["control_delta_logit"]])
    )
    for low, high in zip(table["delta_low"], table["delta_high"], strict=True):
        assert np.isclose(spans(left), [low, high]).all(1).any()
    assert "95 % interval" in words(fig)
    assert "change of log odds" in left.get_xlabel()
    for row in table.itertuples():
        assert f"{row.feature.replace('_', ' ')}, {row.intervention}  ({row.n})" in words(fig)
    assert overhang(fig) < 0.2


def test_the_paired_difference_is_filled_where_it_is_significant(run, table):
    table["p_adjusted"] = np.where(table["feature"] == "ruler", 0.01, 0.4)
    run.write_table("interventions", table)
    middle = drawn(draw_interventions, run).axes[1]
    filled = sorted(x for x, _, f in points(middle) if f)
    np.testing.assert_allclose(filled, sorted(table.query("feature == 'ruler'")["excess_logit"]))
    bands = [p.get_x() + p.get_width() for p in middle.patches]
    assert any(np.isclose(bands, SMALLEST_CHANGE * table["score_sd"].median()))


def test_fractions_of_changed_decisions_are_in_per_cent(run, table):
    right = drawn(draw_interventions, run).axes[2]
    expected = 100 * table[["flip_rate", "control_flip_rate"]].to_numpy().ravel()
    np.testing.assert_allclose(sorted(x for x, _, _ in points(right)), sorted(expected))
    assert "%" in right.get_xlabel()


def test_an_edit_without_a_control_is_said_to_have_none(run, table):
    lost = ["control_delta_logit", "control_flip_rate", "excess_logit", "excess_low", "excess_high"]
    table.loc[0, lost] = np.nan
    run.write_table("interventions", table)
    assert words(drawn(draw_interventions, run)).count("no control") == 1


def test_a_table_of_promised_columns_alone_is_drawn_without_the_difference(run, table):
    run.write_table("interventions", table.drop(columns=[c for c in table if "excess" in c]))
    assert len(drawn(draw_interventions, run).axes) == 2


def test_edits_that_gave_no_numbers_are_counted_and_a_table_of_them_alone_says_why(
    run, table, tmp_path, monkeypatch
):
    table.loc[:1, "delta_logit"] = np.nan
    run.write_table("interventions", table)
    assert "2 edits without numbers" in words(drawn(draw_interventions, run))
    run.write_table("interventions", table.assign(delta_logit=np.nan, note="no image was read"))
    with pytest.raises(NothingToDrawError, match="no image was read"), style.style():
        draw_interventions(run)
    with pytest.raises(NothingToDrawError):
        save_figures(run, only="interventions", out=tmp_path)
    card = registry.FIGURES["interventions"]
    monkeypatch.setattr(registry, "FIGURES", {card.name: card})
    assert save_figures(run, out=tmp_path) == []
