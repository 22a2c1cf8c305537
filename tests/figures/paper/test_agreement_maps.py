import json

import numpy as np
import pandas as pd
import pytest
import zarr
from scipy.stats import spearmanr

from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import explained_run, populated_run
from xattn.analysis.alignment.agreement import agreement_table
from xattn.figures.paper import agreement_examples
from xattn.figures.paper.agreement_examples import compare_methods, pairs
from xattn.figures.paper.agreement_maps import MOST_PAIRS, draw_agreement_maps
from xattn.figures.registry import NothingToDrawError, save_figures
from xattn.figures.run_sources import RunSources
from xattn.figures.style import page_mm
from xattn.images import Cells
from xattn.runs import RunFolder

PAIR = ("gradcam", "attention")
N = 14


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return populated_run(tmp_path_factory.mktemp("agreeing"), n=N)


@pytest.fixture
def bare(tmp_path):
    """A run whose maps a test may change."""
    return explained_run(tmp_path, n=6)


def change(run, method, rows, values):
    zarr.open_array(run.path / "maps.zarr" / method, mode="r+")[rows] = values


def by_hand(run):
    """Spearman's correlation of every image's Grad-CAM with every image's attention map."""
    a, b = (run.maps(m).reshape(len(run.predictions), -1) for m in PAIR)
    return np.array([[spearmanr(x, y).statistic for y in b] for x in a])


def labels(run):
    return RunSources(run).labels


def test_the_examples_agree_most_middling_and_least_of_all_images(run):
    own = np.diag(by_hand(run))
    found = compare_methods(run, PAIR, labels(run))
    np.testing.assert_allclose(found.correlations, own)
    assert [e.place for e in found.examples] == ["agree most", "median", "agree least"]
    most, median, least = (e.correlation for e in found.examples)
    assert (most, least) == pytest.approx((own.max(), own.min()))
    assert median == pytest.approx(np.sort(own)[N // 2 - 1])  # the lower one of an even number
    for example in found.examples:
        assert example.correlation == pytest.approx(own[example.row])


def test_chance_is_what_maps_of_other_images_of_the_label_give(run, monkeypatch):
    monkeypatch.setattr(agreement_examples, "_BLOCK", 4)  # sums over several blocks
    every, label = by_hand(run), labels(run).to_numpy()
    other = (label[:, None] == label) & ~np.eye(N, dtype=bool)
    found = compare_methods(run, PAIR, labels(run))
    means = [every[i][other[i]].mean() for i in range(N)]
    assert found.chance == pytest.approx(np.mean(means))
    assert [e.chance for e in found.examples] == pytest.approx(
        [means[e.row] for e in found.examples]
    )


def test_the_mean_is_that_of_the_table_also_where_grids_differ(tmp_path):
    run = explained_run(tmp_path, n=8)
    fine = np.random.default_rng(1).random((8, 36, 9), np.float32)
    zarr.create_array(run.path / "maps.zarr" / "attention", data=fine, overwrite=True)
    finer = Cells.spread((36, 9), run.preprocessing.size)
    run.settings["cells"]["layer of attention"] = finer.to_dict()
    maps = {m: run.maps(m) for m in PAIR}
    cells = {m: run.cells(m) for m in PAIR}
    table = agreement_table(maps, cells, labels(run), pd.Series([None] * 8), permutations=9)
    found = compare_methods(run, PAIR, labels(run))
    assert found.correlations.mean() == pytest.approx(table["rank_correlation"].iloc[0])


@pytest.mark.parametrize("broken", [0.0, 0.7, np.nan, [[-1.0, -2.0, -3.0, -4.0]] * 4])
def test_images_with_a_flat_or_defective_map_are_left_out_and_counted(bare, broken):
    change(bare, "attention", slice(0, 2), np.broadcast_to(broken, (2, 4, 4)))
    found = compare_methods(bare, PAIR, labels(bare))
    assert np.isnan(found.correlations[:2]).all()
    assert not {e.row for e in found.examples} & {0, 1}
    said = words(drawn(draw_agreement_maps, bare))
    assert "4 images compared; 2 left out, whose map by one of the two is flat or defective" in said


def test_the_figure_shows_each_example_with_both_maps_and_its_numbers(run):
    fig = drawn(draw_agreement_maps, run)
    found = compare_methods(run, PAIR, labels(run))
    said = words(fig)
    for example in found.examples:
        assert f"{example.place}: {example.correlation:.2f}".replace("-", "−") in said
        assert run.predictions["image_id"].iloc[example.row] in said
    assert f"{N} images compared" in said
    assert "left out" not in said
    assert len(fig.axes) == 3 * 3 + 1  # and the scale of the maps
    assert overhang(fig) < 0.2


def test_grad_cam_with_attention_comes_first():
    assert pairs(["rollout", "attention", "gradcam"]) == [
        PAIR, ("rollout", "attention"), ("rollout", "gradcam"),
    ]  # fmt: skip
    assert pairs(["a", "b"]) == [("a", "b")]
    assert pairs(["gradcam"]) == []


def test_more_pairs_than_a_page_holds_are_counted(tmp_path):
    methods = ("rollout", "gradcam", "attention", "saliency")
    fig = drawn(draw_agreement_maps, populated_run(tmp_path, n=6, methods=methods), venue="lncs")
    said = words(fig)
    assert f"{MOST_PAIRS} of 6 pairs of methods" in said
    assert "gradcam / attention" in said
    assert fig.get_figheight() * 25.4 < 240
    assert fig.get_figwidth() * 25.4 <= page_mm()
    assert overhang(fig) < 0.2


@pytest.mark.parametrize(
    ("kept", "places"), [(1, ["the only image"]), (2, ["agree most", "agree least"])]
)
def test_few_images_are_shown_once_each(bare, kept, places):
    change(bare, "gradcam", slice(0, 6 - kept), np.zeros((6 - kept, 4, 4)))
    assert [e.place for e in compare_methods(bare, PAIR, labels(bare)).examples] == places
    assert overhang(drawn(draw_agreement_maps, bare)) < 0.2


def test_an_image_alone_in_its_label_has_no_chance_level(bare):
    alone = pd.Series([str(i) for i in range(6)])
    found = compare_methods(bare, PAIR, alone)
    assert np.isnan([found.chance, *(e.chance for e in found.examples)]).all()


def test_one_method_or_no_map_to_compare_is_nothing_to_draw(bare, tmp_path):
    change(bare, "gradcam", slice(None), np.zeros((6, 4, 4)))
    with pytest.raises(NothingToDrawError, match="flat or defective"):
        draw_agreement_maps(bare)
    settings = json.loads((bare.path / "run.json").read_text())
    (bare.path / "run.json").write_text(json.dumps(settings | {"methods": ["gradcam"]}))
    alone = RunFolder.open(bare.path)
    with pytest.raises(NothingToDrawError, match=r"two methods or more .* but got gradcam"):
        save_figures(alone, "agreement-maps", out=tmp_path)
