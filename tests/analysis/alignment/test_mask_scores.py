import numpy as np
import pandas as pd
import pytest

from tests.analysis.annotated import VIEW, plant
from tests.images.placed import WAYS, placed, shown_slowly
from xattn.analysis.alignment.mask_scores import (
    CENTRE_PRIOR,
    SCORES,
    centre_prior,
    masks_on_parts,
    per_image_tables,
    score_masks,
)
from xattn.analysis.alignment.scores import RankedMaps
from xattn.annotations import read_annotations
from xattn.features.feature_set import collect_features
from xattn.images.cells import upsample


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("run"), 20)


@pytest.fixture(scope="module")
def features(planted):
    return collect_features(planted.run, read_annotations(planted.annotations))


@pytest.fixture(scope="module")
def maps(planted):
    return {m: planted.run.maps(m) for m in planted.run.methods}


@pytest.fixture(scope="module", params=WAYS)
def cells(planted, request):
    return {
        m: placed(planted.run.map_array(m).shape[1:], VIEW)[request.param]
        for m in planted.run.methods
    }


@pytest.fixture(scope="module")
def scored(maps, cells, features):
    return score_masks(maps, cells, features)


def test_every_method_meets_every_feature_and_the_control_comes_last(scored):
    assert [m.name for m in scored] == ["gradcam", "attention", CENTRE_PRIOR]
    assert all(list(m.features) == ["network", "dots", "lesion"] for m in scored)


def test_scores_are_those_of_each_image_and_its_own_mask(scored, maps, cells, features):
    gradcam = scored[0].features["network"]
    masks = features.masks("network")[:]
    assert gradcam.rows.tolist() == np.flatnonzero(masks.any(axis=(1, 2))).tolist()
    fine = upsample(maps["gradcam"], cells["gradcam"])
    ranks = RankedMaps.of(fine).against(masks)
    for k, row in enumerate(gradcam.rows):
        mass = fine[row][masks[row]].sum() / fine[row].sum()
        assert gradcam.score("mass")[k] == pytest.approx(mass, rel=1e-5)
        assert gradcam.score("area")[k] == masks[row].mean()
        for name in SCORES[2:]:
            assert gradcam.score(name)[k] == pytest.approx(getattr(ranks, name)[row]), name


def test_chunks_change_nothing(scored, maps, cells, features, monkeypatch):
    monkeypatch.setattr("xattn.analysis.alignment.mask_scores._CHUNK_PIXELS", 7 * VIEW[0] * VIEW[1])
    for whole, cut in zip(scored, score_masks(maps, cells, features), strict=True):
        for name, one in whole.features.items():
            assert (cut.features[name].rows == one.rows).all()
            assert cut.features[name].scores == pytest.approx(one.scores, nan_ok=True)
            grids = [masks_on_parts(features, name, one.rows, s.cells) for s in (whole, cut)]
            assert grids[1] == pytest.approx(grids[0])
        assert cut.positive == pytest.approx(whole.positive, nan_ok=True)


def test_parts_of_a_map_and_of_a_mask_give_its_mass(scored, features):
    for method in scored[:2]:
        for name, one in method.features.items():
            grid = masks_on_parts(features, name, one.rows, method.cells)
            mass = (method.positive_of(one.rows) * grid).sum(axis=1)
            assert mass == pytest.approx(one.score("mass"), nan_ok=True)


def test_maps_may_be_read_as_they_are_asked_for(scored, planted, cells, features):
    stored = {m: planted.run.map_array(m) for m in planted.run.methods}
    for whole, read in zip(scored, score_masks(stored, cells, features), strict=True):
        assert (read.positive == whole.positive).all()
        assert all((read.features[n].scores == o.scores).all() for n, o in whole.features.items())


def test_the_centre_prior_is_symmetric_and_the_same_for_all(scored):
    prior = centre_prior()[0]
    assert prior == pytest.approx(prior[::-1])
    assert prior == pytest.approx(prior.T)
    assert prior[6:8, 6:8].min() == prior.max()
    rows = np.array([3, 5])
    assert (scored[-1].positive_of(rows)[0] == scored[-1].positive_of(rows)[1]).all()


def test_degenerate_maps_get_no_scores_but_keep_their_area(maps, cells, features):
    broken = maps["gradcam"].copy()
    broken[0], broken[1], broken[2, 0, 0], broken[3] = 0, 2, np.nan, -1
    one = score_masks({"gradcam": broken}, cells, features)[0].features["dots"]
    assert one.degenerate[:5].tolist() == [True] * 4 + [False]
    assert np.isnan(one.scores[:4][:, np.array(SCORES) != "area"]).all()
    assert (one.score("area")[:4] > 0).all()


def test_mass_within_the_lesion_is_of_the_overlap(scored, maps, cells, features):
    one = scored[0].features["dots"]
    dots, lesion = features.masks("dots")[:], features.masks("lesion")[:]
    fine = upsample(maps["gradcam"], cells["gradcam"])
    both = (fine * (dots & lesion)).sum(axis=(1, 2)) / fine.sum(axis=(1, 2))
    assert one.lesion[:, 0] == pytest.approx(both, rel=1e-5)
    assert one.lesion[:, 3] == pytest.approx(lesion.mean(axis=(1, 2)))
    assert np.isnan(scored[0].features["lesion"].lesion).all()


def test_the_table_has_a_row_per_method_feature_and_image(scored, features):
    table = pd.concat(per_image_tables(scored, features))
    n = int(features.masks("network")[:].any(axis=(1, 2)).sum())
    assert len(table) == 3 * (n + 20 + 20)
    assert (table["lift"] == table["mass"] / table["area"]).all()
    assert set(table["label"]) == {"benign", "malignant"}


def test_no_masks_give_no_scores(features, maps):
    class Empty:
        masked = ()

    assert score_masks(maps, {}, Empty()) == []
    assert pd.concat(per_image_tables([], features)).empty


def test_scores_equal_brute_force_wherever_the_cells_lie(scored, maps, cells, features):
    one = scored[1].features["dots"]
    masks = features.masks("dots")[:]
    for k in (0, 7):
        row = one.rows[k]
        positive = np.clip(maps["attention"][row], 0, None)
        fine = shown_slowly(positive, cells["attention"], *VIEW)
        inside = masks[row]
        assert one.score("mass")[k] == pytest.approx(fine[inside].sum() / fine.sum(), rel=1e-6)
        signed = shown_slowly(maps["attention"][row], cells["attention"], *VIEW)
        wins = (signed[inside][:, None] > signed[~inside] + 1e-6).mean()
        ties = (np.abs(signed[inside][:, None] - signed[~inside]) <= 1e-6).mean()
        assert one.score("auc")[k] == pytest.approx(wins + ties / 2, abs=1e-3)


def test_the_control_lies_in_the_middle_of_the_view_wherever_the_methods_cells_lie(
    scored, planted, features, maps
):
    evenly = {m: planted.run.cells(m) for m in maps}
    expected = score_masks(maps, evenly, features)[-1].features["lesion"].scores
    assert scored[-1].features["lesion"].scores == pytest.approx(expected)
