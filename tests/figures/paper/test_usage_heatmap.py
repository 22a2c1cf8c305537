import re

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import complete_run
from xattn.errors import RunError, UsageError
from xattn.figures import registry
from xattn.figures.paper.usage_heatmap import MOST_MODELS, draw_usage_heatmap
from xattn.figures.registry import FIGURES, save_figures
from xattn.runs import RunFolder
from xattn.runs.tables.verdicts import VERDICTS


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of one architecture in folders of their own."""
    found = []
    for seed, name in enumerate(("first", "second")):
        root = tmp_path_factory.mktemp(name)
        path = complete_run(root, n=6, seed=seed).path.rename(root / name)
        found.append(RunFolder.open(path))
    return found


def cells(fig):
    """Return column -> the numbers in its cells."""
    found = {}
    for text in fig.axes[0].texts:
        found.setdefault(int(text.get_position()[0]), []).append(text)
    return found


def number(text):
    return float(text.get_text().rstrip("*").replace("\N{MINUS SIGN}", "-"))


def test_every_model_has_a_column_with_the_effect_of_every_feature(runs):
    fig = drawn(draw_usage_heatmap, runs)
    shown = cells(fig)
    assert len(shown) == 2
    for column, run in enumerate(runs):
        expected = sorted(run.table("feature_usage")["effect_bits"].round(3))
        assert sorted(map(number, shown[column])) == pytest.approx(expected)
    assert overhang(fig) < 0.2


def test_models_of_one_architecture_are_told_apart_by_their_folders(runs):
    labels = [t.get_text() for t in drawn(draw_usage_heatmap, runs).axes[0].get_xticklabels()]
    assert [re.search(r"\((.*)\)", text)[1] for text in labels] == ["first", "second"]
    with pytest.raises(UsageError, match="each run once"):
        draw_usage_heatmap([runs[0], runs[0]])


def test_bold_with_a_star_is_significant_and_nothing_else_is(runs):
    run = runs[0]
    table = run.table("feature_usage").set_index("feature")
    table["p_adjusted"] = np.where(table["kind"] == "artifact", 0.049, 0.05)
    run.write_table("feature_usage", table.reset_index())
    texts = cells(drawn(draw_usage_heatmap, [run]))[0]
    starred = sorted(number(t) for t in texts if t.get_text().endswith("*"))
    bold = sorted(number(t) for t in texts if t.get_fontweight() == "bold")
    significant = table.loc[table["p_adjusted"] < 0.05, "effect_bits"].round(3)
    assert 0 < len(significant) < len(table)
    assert starred == bold == pytest.approx(sorted(significant))


def test_of_several_tests_the_one_with_the_least_p_value_is_shown(tmp_path):
    run = complete_run(tmp_path, n=6)
    table = run.table("feature_usage")
    more = table.assign(test="another", effect_bits=0.777, p_adjusted=0.0001, p_value=0.0001)
    run.write_table("feature_usage", type(table)(np.vstack([table, more]), columns=table.columns))
    assert set(map(number, cells(drawn(draw_usage_heatmap, [run]))[0])) == {0.777}


def test_darker_is_more_on_a_grey_print_too(runs):
    ax = drawn(draw_usage_heatmap, [runs[0]]).axes[0]
    table = runs[0].table("feature_usage").sort_values("effect_bits")
    patches = [p for p in ax.patches if isinstance(p, Rectangle)]
    grey = sorted(float(np.dot(p.get_facecolor()[:3], (0.299, 0.587, 0.114))) for p in patches)
    assert len(grey) == len(table)
    assert len(set(np.round(grey, 6))) == table["effect_bits"].clip(lower=0).nunique()
    assert grey[-1] > 0.9  # nothing is nearly white
    assert grey[0] < 0.5


def test_a_feature_that_a_model_was_not_tested_for_is_hatched(runs, tmp_path):
    other = complete_run(tmp_path, n=6)
    table = other.table("feature_usage")
    other.write_table("feature_usage", table[table["feature"] != "ruler"])
    ax = drawn(draw_usage_heatmap, [runs[0], other]).axes[0]
    assert sum(bool(p.get_hatch()) for p in ax.patches) == 1


def test_verdicts_are_explained_in_the_legend_if_there_are_any(runs, tmp_path):
    said = words(drawn(draw_usage_heatmap, runs))
    given = {verdict for run in runs for verdict in run.table("verdicts")["verdict"]}
    assert all((verdict in said) == (verdict in given) for verdict in VERDICTS)
    bare = complete_run(tmp_path, n=6)
    (bare.path / "verdicts.csv").unlink()
    said = words(drawn(draw_usage_heatmap, [bare]))
    assert not any(verdict in said for verdict in VERDICTS)


def test_one_file_is_written_of_several_runs(runs, tmp_path):
    (path,) = save_figures(runs, only="usage-heatmap", out=tmp_path)
    assert path == tmp_path / "usage-heatmap.png"
    (path,) = save_figures(runs[0], only="usage-heatmap")
    assert path == runs[0].path / "figures" / "usage-heatmap.png"
    (path,) = save_figures([runs[0]] * 1 + [runs[1]], only="usage-heatmap")
    assert path == runs[0].path.parent / "figures" / "usage-heatmap.png"


def test_runs_without_the_table_are_left_out_and_told_if_the_figure_is_asked_for(
    runs, tmp_path, monkeypatch
):
    bare = complete_run(tmp_path, n=6)
    (bare.path / "feature_usage.csv").unlink()
    told = []
    named = save_figures(
        [runs[0], bare], only="usage-heatmap", out=tmp_path / "a", on_note=told.append
    )
    assert named == [tmp_path / "a" / "usage-heatmap.png"]
    (line,) = told
    assert str(bare.path) in line
    assert "feature_usage.csv is not there" in line
    with pytest.raises(RunError, match=r"feature_usage\.csv is not there"):
        save_figures([bare], only="usage-heatmap", out=tmp_path / "a")
    card = FIGURES["usage-heatmap"]
    monkeypatch.setattr(registry, "FIGURES", {card.name: card})
    (path,) = save_figures([runs[0], bare], out=tmp_path / "b")
    assert path == tmp_path / "b" / "usage-heatmap.png"


def test_a_single_run_may_be_drawn_by_name_alone(runs):
    assert drawn(FIGURES["usage-heatmap"].draw, runs[0]).axes


def test_more_models_than_a_page_holds_are_refused(runs):
    with pytest.raises(RunError, match=f"at most {MOST_MODELS} runs"):
        draw_usage_heatmap([runs[0]] * (MOST_MODELS + 1))
