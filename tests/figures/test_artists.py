"""Figures tested by what is drawn: positions, fills and words, never pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.fabricate import change_maps
from tests.figures.artists import drawn, points, spans, words
from tests.figures.made_tables import alignment_table, bias_table, usage_table
from tests.figures.populated import explained_run, populated_run, write_masks
from xattn.errors import RunError
from xattn.figures import style
from xattn.figures.drawing.forest import MOST_FEATURES
from xattn.figures.paper.alignment import draw_alignment
from xattn.figures.paper.attribution_grid import draw_attribution_grid, rows_shown
from xattn.figures.paper.attribution_models import draw_attribution_models
from xattn.figures.paper.bias import draw_bias
from xattn.figures.paper.feature_usage import draw_feature_usage
from xattn.figures.registry import NothingToDrawError
from xattn.figures.run_sources import RunSources

RNG = np.random.default_rng(0)


@pytest.fixture
def run(tmp_path):
    return populated_run(tmp_path, n=24)


def upright_lines(ax):
    return [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]


# alignment


def test_alignment_shows_every_lift_over_all_labels_and_none_of_the_others(run):
    ax = drawn(draw_alignment, run).axes[0]
    table = run.table("alignment").query("label == 'all'")
    shown = sorted(x for x, _, _ in points(ax) if x)
    expected = sorted([*table["lift"], *table["chance_lift"]])
    np.testing.assert_allclose(shown, expected)


def test_alignment_draws_each_interval_from_its_low_to_its_high_end(run):
    ax = drawn(draw_alignment, run).axes[0]
    table = run.table("alignment").query("label == 'all'")
    ends = spans(ax)
    for low, high in zip(table["lift_low"], table["lift_high"], strict=True):
        assert np.isclose(ends, [low, high]).all(1).any()


def test_alignment_has_a_line_at_chance_and_a_logarithmic_axis(run):
    ax = drawn(draw_alignment, run).axes[0]
    assert 1 in upright_lines(ax)
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert low < 1 < high
    assert "1 = spread evenly" in ax.get_xlabel()


def test_alignment_fills_the_markers_of_significant_lifts_only(run):
    table = run.table("alignment")
    table["p_adjusted"] = np.where(table["feature"] == "ruler", 0.01, 0.4)
    run.write_table("alignment", table.drop(columns="chance_lift"))
    ax = drawn(draw_alignment, run).axes[0]
    wanted = table.query("label == 'all'")
    filled = sorted(x for x, _, f in points(ax) if f)
    np.testing.assert_allclose(filled, sorted(wanted.query("feature == 'ruler'")["lift"]))


def test_a_method_without_maps_is_a_control_and_grey(run):
    table = run.table("alignment")
    control = table[table["method"] == "gradcam"].assign(method="centre-prior")
    run.write_table("alignment", type(table)(np.vstack([table, control]), columns=table.columns))
    fig = drawn(draw_alignment, run)
    handles = {h.get_label(): to_hex(h.get_color()) for h in fig.legends[0].legend_handles}
    assert handles["centre-prior (control)"] == style.KIND_COLOURS["control"]
    assert handles["gradcam (95 % interval)"] == style.OKABE_ITO["blue"].lower()


@pytest.mark.parametrize("lift", [0.0, 1e-9, 1e9])
def test_lifts_beyond_the_axis_are_drawn_at_its_edge(run, lift):
    table = run.table("alignment").assign(lift=lift, lift_low=lift, lift_high=lift)
    run.write_table("alignment", table)
    ax = drawn(draw_alignment, run).axes[0]
    low, high = ax.get_xlim()
    assert all(low <= x <= high for x, _, _ in points(ax))


def test_without_a_single_lift_there_is_no_figure(run):
    run.write_table("alignment", run.table("alignment").assign(lift=np.nan))
    with pytest.raises(RunError, match="Expected lifts over all labels"):
        draw_alignment(run)


def test_structures_stand_above_artifacts_and_names_are_words(run):
    ax = drawn(draw_alignment, run).axes[0]
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels[0] == "Structures"
    assert labels.index("Structures") < labels.index("Artifacts")
    assert any(text.startswith("pigment network  (") for text in labels)
    places = ax.get_yticks()
    assert sorted(places) == list(places)
    low, high = ax.get_ylim()
    assert low > high  # the first row is on top


# feature usage


def test_usage_shows_effects_with_intervals_and_the_band_of_the_controls(run):
    left, right = drawn(draw_feature_usage, run).axes
    table = run.table("feature_usage")
    np.testing.assert_allclose(sorted(x for x, _, _ in points(left)), sorted(table["effect_bits"]))
    np.testing.assert_allclose(
        sorted(x for x, _, _ in points(right)), sorted(-np.log10(table["p_adjusted"]))
    )
    assert any(np.isclose(x, -np.log10(0.05)) for x in upright_lines(right))
    band = table.loc[table["kind"] == "control", "effect_bits"].max()
    assert any(np.isclose(p.get_x() + p.get_width(), band) for p in left.patches)


def test_several_tests_of_a_feature_stand_beside_each_other_in_its_row(run):
    table = run.table("feature_usage")
    more = table[table["kind"] == "artifact"].assign(test="rank(area)")
    both = type(table)(np.vstack([table, more]), columns=table.columns).infer_objects()
    for column in ("effect_bits", "effect_low", "effect_high", "rank_effect", "p_adjusted"):
        both[column] = both[column].astype(float)
    run.write_table("feature_usage", both)
    fig = drawn(draw_feature_usage, run)
    places = [y for _, y, _ in points(fig.axes[0])]
    assert len(set(np.round(places, 6))) == len(places)
    assert "rank(area)" in words(fig)


def test_usage_without_effects_shows_the_p_values_alone(run):
    nothing = dict.fromkeys(["effect_bits", "effect_low", "effect_high", "rank_effect"], np.nan)
    run.write_table("feature_usage", run.table("feature_usage").assign(**nothing))
    assert len(drawn(draw_feature_usage, run).axes) == 1


def test_more_features_than_a_page_holds_are_named_as_left_out(run):
    features = {f"feature_{i}": "computed" for i in range(MOST_FEATURES + 15)}
    table = usage_table(features, RNG)
    run.write_table("feature_usage", table)
    fig = drawn(draw_feature_usage, run)
    assert "15 more in the table" in words(fig)
    best = table.nsmallest(1, "p_adjusted")["feature"].iloc[0].replace("_", " ")
    assert best in words(fig)
    assert fig.get_figheight() * 25.4 < 240


def test_tests_that_find_no_room_leave_the_strongest_of_each_feature(run):
    table = usage_table({f"feature_{i}": "computed" for i in range(50)}, RNG)
    more = [table.assign(test=t, p_adjusted=0.9, p_value=0.9) for t in ("area", "count")]
    run.write_table("feature_usage", type(table)(np.vstack([table, *more]), columns=table.columns))
    fig = drawn(draw_feature_usage, run)
    assert len(points(fig.axes[0])) == 50
    assert "Of each feature the test with the least p-value" in words(fig)
    assert fig.get_figheight() * 25.4 < 240


# bias


def test_groups_of_too_few_images_are_counted_and_have_no_row(run):
    table = run.table("bias")
    few, other = table["feature"].unique()[:2]
    table.loc[table["feature"] == few, ["gap", "gap_low", "gap_high"]] = np.nan
    run.write_table("bias", table)
    fig = drawn(draw_bias, run)
    names = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert any(other in name for name in names)
    assert not any(few in name for name in names)
    assert fig.get_suptitle().endswith("; 1 with too few images")
    run.write_table("bias", table.assign(gap=np.nan))
    with pytest.raises(NothingToDrawError, match="enough images in"):
        drawn(draw_bias, run)


def test_bias_has_a_panel_a_metric_on_one_scale_with_zero_in_the_middle(run):
    axes = drawn(draw_bias, run).axes
    assert [ax.get_title(loc="left") for ax in axes] == [
        "a  balanced acc.", "b  sensitivity", "c  false positives", "d  AUC",
    ]  # fmt: skip
    limits = {ax.get_xlim() for ax in axes}
    assert len(limits) == 1
    assert sum(limits.pop()) == pytest.approx(0)
    table = run.table("bias").query("metric == 'tpr'")
    np.testing.assert_allclose(sorted(x for x, _, _ in points(axes[1])), sorted(100 * table["gap"]))


def test_gaps_that_could_not_be_measured_are_left_out(run):
    table = run.table("bias")
    lost = (table["feature"] == "ruler") & (table["metric"] == "tpr")
    table.loc[lost, ["gap", "gap_low", "gap_high", "p_value", "p_adjusted"]] = np.nan
    run.write_table("bias", table)
    axes = drawn(draw_bias, run).axes
    assert [len(points(ax)) for ax in axes] == [2, 1, 2, 2]


def test_metrics_of_many_classes_wrap_into_rows_of_panels(run):
    table = bias_table(["ruler"], RNG)
    more = [table.assign(metric=f"tpr_class{i}") for i in range(2)]
    run.write_table("bias", type(table)(np.vstack([table, *more]), columns=table.columns))
    fig = drawn(draw_bias, run)
    assert sum(ax.get_visible() for ax in fig.axes) == 6


# attribution grid


def test_the_grid_shows_one_image_of_each_label_and_outcome(run):
    shown = rows_shown(run, RunSources(run))
    assert shown[["label", "correct"]].values.tolist() == [
        ["benign", True], ["benign", False], ["malignant", True], ["malignant", False],
    ]  # fmt: skip
    fig = drawn(draw_attribution_grid, run)
    # Per image: itself, and per method the overlay and the native map; and the scale.
    assert len(fig.axes) == 4 * (1 + 2 * 2) + 1
    for image_id in run.predictions["image_id"].iloc[shown["row"]]:
        assert image_id in words(fig)


@pytest.mark.parametrize(
    "draw", [draw_attribution_grid, lambda run: draw_attribution_models([run])]
)
def test_predictions_alone_make_no_image_of_maps(run, draw):
    run.settings["methods"] = []
    with pytest.raises(NothingToDrawError, match="predictions alone"):
        drawn(draw, run)


def test_the_grid_names_features_in_the_colours_of_their_outlines(run):
    fig = drawn(draw_attribution_grid, run)
    strokes = RunSources(run).strokes
    handles = {h.get_label(): h.get_color() for h in fig.legends[0].legend_handles}
    assert set(handles) <= {name.replace("_", " ") for name in strokes}
    for name, stroke in strokes.items():
        if name.replace("_", " ") in handles:
            assert handles[name.replace("_", " ")] == stroke.colour


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "all zero"), (np.nan, "NaN or infinite"), (-1.0, "constant")]
)
def test_a_degenerate_map_is_hatched_and_named_not_stretched(tmp_path, value, said):
    run = explained_run(tmp_path, n=4, methods=("gradcam",))
    change_maps(run, "gradcam", slice(None), value)
    fig = drawn(draw_attribution_grid, run)
    assert words(fig).count(said) == 2 * len(rows_shown(run, RunSources(run)))
    assert any(p.get_hatch() for ax in fig.axes for p in ax.patches)


def test_an_image_that_was_moved_leaves_its_place_grey(tmp_path):
    run = explained_run(tmp_path, n=4)
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    assert "file not found" in words(drawn(draw_attribution_grid, run))


@pytest.mark.parametrize("methods", [1, 3, 5, 14])
def test_the_grid_takes_any_number_of_methods(tmp_path, methods):
    names = tuple(f"method-{i}" for i in range(methods))
    run = populated_run(tmp_path, n=8, methods=names)
    fig = drawn(draw_attribution_grid, run)
    assert style.text_mm() - 1e-6 <= fig.get_figwidth() * 25.4 <= style.page_mm() + 1e-6
    assert all(name in words(fig) for name in names)


def test_the_grid_needs_no_labels(tmp_path):
    run = populated_run(tmp_path, n=12, labels=False)
    assert "no label" in words(drawn(draw_attribution_grid, run))


def test_names_with_dollars_and_long_names_are_drawn_as_they_are(tmp_path):
    features = {"cost_$x^2$_of_ink": "artifact", "a" * 60: "structure"}
    run = populated_run(tmp_path, n=8, features=features)
    assert "cost $x^2$ of ink" in words(drawn(draw_alignment, run))


def test_outlines_are_told_apart_up_to_21_features():
    names = [f"f{i}" for i in range(21)]
    assert len(set(style.strokes(names).values())) == 21


def test_alignment_of_many_methods_still_tells_them_apart(tmp_path):
    methods = tuple(f"method-{i}" for i in range(8))
    run = populated_run(tmp_path, n=6, methods=methods)
    run.write_table("alignment", alignment_table({"ruler": "artifact"}, methods, ["all"], RNG))
    ax = drawn(draw_alignment, run).axes[0]
    places = [y for x, y, _ in points(ax)]
    assert len(set(np.round(places, 9))) == 8


def test_the_legend_of_many_features_stays_on_the_page(tmp_path):
    features = {f"feature_number_{i:02}": "artifact" for i in range(20)}
    run = populated_run(tmp_path, n=12, features=features)
    fig = drawn(draw_attribution_grid, run)
    legend, page = fig.legends[0].get_window_extent(), fig.bbox
    assert len(fig.legends[0].legend_handles) == 21
    assert legend.x1 <= page.x1
    assert legend.y0 >= page.y0
    panels = min(ax.get_window_extent().y0 for ax in fig.axes[:-1])
    assert legend.y1 < panels


def test_masks_that_touch_the_border_have_closed_outlines(tmp_path):
    run = explained_run(tmp_path, n=4, methods=("gradcam",))
    write_masks(run, {"ruler": np.ones((4, 32, 32), bool)})
    fig = drawn(draw_attribution_grid, run)
    contours = fig.axes[0].collections
    closed = [p for c in contours for p in c.get_paths() if len(p.vertices)]
    assert closed
    assert all(np.allclose(p.vertices[0], p.vertices[-1]) for p in closed)
