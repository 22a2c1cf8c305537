"""The curves over training, by what is drawn."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from tests.figures import artists
from tests.figures.populated import populated_course
from xattn.errors import RunError
from xattn.figures import style
from xattn.figures.paper.usage_over_training import MOST_PANELS, draw_usage_over_training
from xattn.figures.registry import save_figures

GREY = style.KIND_COLOURS["control"].lower()


def drawn(folder, venue="default"):
    return artists.drawn(draw_usage_over_training, folder, venue=venue)


def titles(fig):
    """Name of each panel and its letter, in their order."""
    shown = [ax.get_title(loc="left") for ax in fig.axes if ax.get_visible()]
    return {title[3:]: title[:3].strip() for title in shown}


def panel(fig, title):
    return next(ax for ax in fig.axes if ax.get_title(loc="left")[3:] == title)


def curves(ax, colour):
    return [
        line.get_ydata()
        for line in ax.lines
        if to_hex(line.get_color()) == colour.lower() and len(line.get_xdata()) > 2
    ]


@pytest.fixture
def folder(tmp_path):
    return populated_course(tmp_path)


def test_every_feature_has_its_panel_with_its_own_curve(folder):
    fig = drawn(folder)
    table = folder.table("usage_over_training")
    ruler = table[table["feature"] == "ruler"].sort_values("step")["effect_bits"]
    ax = panel(fig, "ruler")
    assert np.allclose(curves(ax, style.KIND_COLOURS["artifact"])[0], ruler)
    assert set(titles(fig)) == {"pigment network", "streaks", "patches", "ruler"}
    assert list(titles(fig).values()) == ["a", "b", "c", "d"]


def test_the_controls_are_grey_in_every_panel_and_have_none_of_their_own(folder):
    fig = drawn(folder)
    for ax in fig.axes:
        if ax.get_visible():
            assert len(curves(ax, GREY)) == 2
            assert "control" not in ax.get_title(loc="left")


def test_points_are_filled_where_the_feature_came_out_as_used(folder):
    ax = panel(drawn(folder), "patches")
    filled = {
        float(x): to_hex(points.get_facecolor()[0]) != "#ffffff"
        for points in ax.collections
        if isinstance(points, PathCollection)
        for x, _ in np.asarray(points.get_offsets())
    }
    assert filled == {step: step > 2 for step in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)}


@pytest.mark.parametrize("venue", ["default", "lncs"])
def test_more_features_than_fit_are_left_out_and_counted(tmp_path, venue):
    features = {f"feature of number {i:02d}": "metadata" for i in range(MOST_PANELS + 3)}
    fig = drawn(populated_course(tmp_path, steps=2, features=features), venue)
    words = " ".join(text.get_text() for text in fig.findobj(Text))
    assert f"the {MOST_PANELS} most significant features, 3 more in the table" in words
    assert fig.get_size_inches()[1] * 25.4 < 240
    boxes = [t.get_window_extent() for t in fig.findobj(Text) if t.get_text()[3:7] == "feat"]
    assert len(boxes) == MOST_PANELS
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_steps_without_numbers_leave_a_gap_and_no_point(folder):
    table = folder.table("usage_over_training")
    gone = (table["feature"] == "ruler") & (table["step"] == 3)
    table.loc[gone, ["effect_bits", "effect_low", "effect_high", "p_adjusted"]] = np.nan
    folder.write_table("usage_over_training", table)
    ax = panel(drawn(folder), "ruler")
    assert np.isnan(curves(ax, style.KIND_COLOURS["artifact"])[0][2])


def test_a_folder_with_the_table_alone_can_be_named_and_one_without_anything_cannot(
    folder, tmp_path
):
    assert [p.stem for p in save_figures(str(folder.path))] == ["usage-over-training"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="Expected a run folder"):
        save_figures(str(tmp_path / "empty"))
