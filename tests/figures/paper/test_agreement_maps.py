import json

import numpy as np
import pytest

from tests.fabricate import change_maps
from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import explained_run, populated_run
from xattn.analysis.alignment.agreement_ranking import rank_by_agreement
from xattn.figures.paper.agreement_maps import MOST_PAIRS, draw_agreement_maps
from xattn.figures.registry import NothingToDrawError, save_figures
from xattn.figures.run_sources import RunSources
from xattn.figures.style import page_mm
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

PAIR = ("gradcam", "attention")
N = 14


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return populated_run(tmp_path_factory.mktemp("agreeing"), n=N)


@pytest.fixture
def bare(tmp_path):
    """A run whose maps a test may change."""
    return explained_run(tmp_path, n=6)


def labels(run):
    return RunSources(run).labels


@pytest.mark.parametrize("broken", [0.0, 0.7, np.nan, [[-1.0, -2.0, -3.0, -4.0]] * 4])
def test_images_with_a_flat_or_defective_map_are_left_out_and_counted(bare, broken):
    change_maps(bare, "attention", slice(0, 2), np.broadcast_to(broken, (2, 4, 4)))
    found = rank_by_agreement(bare, PAIR, labels(bare))
    assert np.isnan(found.correlations[:2]).all()
    assert not {e.row for e in found.examples} & {0, 1}
    said = words(drawn(draw_agreement_maps, bare))
    assert "4 images compared; 2 left out, whose map by one of the two is flat or defective" in said


def test_the_figure_shows_each_example_with_both_maps_and_its_numbers(run):
    fig = drawn(draw_agreement_maps, run)
    found = rank_by_agreement(run, PAIR, labels(run))
    said = words(fig)
    for example in found.examples:
        assert f"{example.place}: {example.correlation:.2f}".replace("-", "−") in said
        assert run.predictions["image_id"].iloc[example.row] in said
    assert f"{N} images compared" in said
    assert "left out" not in said
    assert len(fig.axes) == 3 * 3 + 1  # and the scale of the maps
    assert overhang(fig) < 0.2


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
    change_maps(bare, "gradcam", slice(0, 6 - kept), np.zeros((6 - kept, 4, 4)))
    assert [e.place for e in rank_by_agreement(bare, PAIR, labels(bare)).examples] == places
    assert overhang(drawn(draw_agreement_maps, bare)) < 0.2


def test_one_method_or_no_map_to_compare_is_nothing_to_draw(bare, tmp_path):
    change_maps(bare, "gradcam", slice(None), np.zeros((6, 4, 4)))
    with pytest.raises(NothingToDrawError, match="flat or defective"):
        draw_agreement_maps(bare)
    settings = read_record(bare.path / "run.json")
    (bare.path / "run.json").write_text(json.dumps(settings | {"methods": ["gradcam"]}))
    alone = RunFolder.open(bare.path)
    with pytest.raises(NothingToDrawError, match=r"two methods or more .* but got gradcam"):
        save_figures(alone, "agreement-maps", out=tmp_path)
