import numpy as np
import pandas as pd
import pytest
import zarr
from scipy.stats import spearmanr

from tests.figures.populated import explained_run, populated_run
from xattn.analysis.alignment import agreement_ranking
from xattn.analysis.alignment.agreement import agreement_table
from xattn.analysis.alignment.agreement_ranking import method_pairs, rank_by_agreement
from xattn.figures.run_sources import RunSources
from xattn.images import Cells

PAIR = ("gradcam", "attention")
N = 14


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return populated_run(tmp_path_factory.mktemp("agreeing"), n=N)


@pytest.fixture
def bare(tmp_path):
    """A run whose maps a test may change."""
    return explained_run(tmp_path, n=6)


def by_hand(run):
    """Spearman's correlation of every image's Grad-CAM with every image's attention map."""
    a, b = (run.maps(m).reshape(len(run.predictions), -1) for m in PAIR)
    return np.array([[spearmanr(x, y).statistic for y in b] for x in a])


def labels(run):
    return RunSources(run).labels


def test_the_examples_agree_most_middling_and_least_of_all_images(run):
    own = np.diag(by_hand(run))
    found = rank_by_agreement(run, PAIR, labels(run))
    np.testing.assert_allclose(found.correlations, own)
    assert [e.place for e in found.examples] == ["agree most", "median", "agree least"]
    most, median, least = (e.correlation for e in found.examples)
    assert (most, least) == pytest.approx((own.max(), own.min()))
    assert median == pytest.approx(np.sort(own)[N // 2 - 1])  # the lower one of an even number
    for example in found.examples:
        assert example.correlation == pytest.approx(own[example.row])


def test_chance_is_what_maps_of_other_images_of_the_label_give(run, monkeypatch):
    monkeypatch.setattr(agreement_ranking, "_BLOCK", 4)  # sums over several blocks
    every, label = by_hand(run), labels(run).to_numpy()
    other = (label[:, None] == label) & ~np.eye(N, dtype=bool)
    found = rank_by_agreement(run, PAIR, labels(run))
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
    found = rank_by_agreement(run, PAIR, labels(run))
    assert found.correlations.mean() == pytest.approx(table["rank_correlation"].iloc[0])


def test_grad_cam_with_attention_comes_first():
    assert method_pairs(["rollout", "attention", "gradcam"]) == [
        PAIR, ("rollout", "attention"), ("rollout", "gradcam"),
    ]  # fmt: skip
    assert method_pairs(["a", "b"]) == [("a", "b")]
    assert method_pairs(["gradcam"]) == []


def test_an_image_alone_in_its_label_has_no_chance_level(bare):
    alone = pd.Series([str(i) for i in range(6)])
    found = rank_by_agreement(bare, PAIR, alone)
    assert np.isnan([found.chance, *(e.chance for e in found.examples)]).all()
