import numpy as np
import pandas as pd
import pytest

from tests.analysis.annotated import plant
from xattn.analysis.alignment.coarse import coarse_notes
from xattn.analysis.alignment.mask_scores import (
    CENTRE_PRIOR,
    masks_on_parts,
    per_image_tables,
    score_masks,
)
from xattn.analysis.alignment.pairs import paired_sums
from xattn.analysis.alignment.table import ALL_LABELS, alignment_table
from xattn.annotations import read_annotations
from xattn.features.feature_set import collect_features
from xattn.images import Cells
from xattn.runs import TABLES
from xattn.stats.adjust import holm
from xattn.stats.permutation import within_label_permutations

CLASSES = ["benign", "malignant"]
QUICK = {"permutations": 99, "bootstrap": 99}


def prepare(tmp_path, n=60, **more):
    planted = plant(tmp_path, n, **more)
    features = collect_features(planted.run, read_annotations(planted.annotations))
    maps = {m: planted.run.maps(m) for m in planted.run.methods}
    return planted, features, score_masks(maps, cells_of(planted.run), features)


def cells_of(run):
    return {m: run.cells(m) for m in run.methods}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def table(prepared):
    _, features, scored = prepared
    return alignment_table(scored, features, CLASSES, **QUICK)


def row(table, method, feature, label=ALL_LABELS):
    some = (table["method"] == method) & (table["feature"] == feature) & (table["label"] == label)
    assert some.sum() == 1
    return table[some].iloc[0]


def test_there_is_a_row_per_method_feature_and_label(table):
    assert len(table) == 3 * 3 * 3
    assert set(TABLES["alignment"].promised) <= set(table.columns)
    assert table["label"].tolist()[:3] == [*CLASSES, "all"]
    assert row(table, "gradcam", "lesion")["kind"] == "structure"


def test_a_map_that_looks_at_its_own_structures_is_told_from_chance(table):
    seen = row(table, "gradcam", "network")
    assert seen["lift"] > seen["lift_low"] > 2 * seen["chance_lift"]
    assert seen["lift_over_chance"] > 2
    assert seen["p_adjusted"] < 0.05
    assert seen["pointing"] > 0.9
    assert seen["lift_in_lesion"] > 2


@pytest.mark.parametrize(
    ("method", "feature"), [("gradcam", "dots"), ("attention", "network"), ("attention", "dots")]
)
def test_a_map_that_looks_elsewhere_is_not(table, method, feature):
    unseen = row(table, method, feature)
    assert unseen["p_value"] > 0.05
    assert unseen["p_adjusted"] > 0.5


def test_centring_alone_lifts_but_is_never_above_chance(table):
    """Lesions lie in the middle, so both the prior and Grad-CAM here do well by centring."""
    control = table[table["method"] == CENTRE_PRIOR]
    assert row(table, CENTRE_PRIOR, "lesion")["lift"] > 1.2
    assert (control["p_value"] == 1).all()
    assert (control["p_adjusted"] == 1).all()
    assert control["lift_over_chance"].to_numpy() == pytest.approx(1)


def test_means_are_over_the_images_that_show_the_feature(prepared, table):
    _, features, scored = prepared
    images = pd.concat(per_image_tables(scored, features))
    some = images[(images["method"] == "gradcam") & (images["feature"] == "network")]
    benign = some[some["label"] == "benign"]
    for label, expected in (("all", some), ("benign", benign)):
        found = row(table, "gradcam", "network", label)
        assert found["n"] == len(expected)
        for score in ("mass", "area", "pointing", "auc", "rank_accuracy", "topk"):
            assert found[score] == pytest.approx(expected[score].mean()), score
        assert found["lift"] == pytest.approx(found["mass"] / found["area"])


def test_holm_runs_over_all_rows_but_the_controls(table):
    tested = table[table["method"] != CENTRE_PRIOR]
    assert tested["p_adjusted"].to_numpy() == pytest.approx(holm(tested["p_value"]))
    assert table.attrs["permutations"] == 4 * 18 / 0.05 - 1


def test_the_chance_level_is_the_mean_over_other_images_masks(prepared):
    _, features, scored = prepared
    one = scored[0].features["dots"]
    label = features.table["label"].to_numpy()[one.rows]
    drawn = within_label_permutations(label, None, 40, seed=0)
    code = (label == "malignant").astype(np.intp)
    fraction = scored[0].positive_of(one.rows)
    grid = masks_on_parts(features, "dots", one.rows, scored[0].cells)
    fast = paired_sums(fraction, grid, drawn.of_kept(), code, 2)
    for p, order in enumerate(drawn.of_kept()):
        mass = np.array([fraction[i] @ grid[order[i]] for i in range(len(order))])
        expected = [mass[code == 0].sum(), mass[code == 1].sum(), mass.sum()]
        assert fast[p] == pytest.approx(expected)


@pytest.mark.parametrize("gather", [200, 2**22])
def test_pair_by_pair_and_all_pairs_at_once_are_the_same(gather, monkeypatch):
    monkeypatch.setattr("xattn.analysis.alignment.pairs._GATHER", gather)
    rng = np.random.default_rng(0)
    maps, masks, code = rng.random((30, 9)), rng.random((30, 9)), rng.integers(0, 2, 30)
    few, many = (within_label_permutations(code, None, n, seed=0).of_kept() for n in (20, 40))
    found = paired_sums(maps, masks, few, code, 2)  # of more images than permutations
    index = np.asarray(few)
    mass = np.einsum("kc,pkc->pk", maps, masks[index])
    slow = [mass[:, code == 0].sum(1), mass[:, code == 1].sum(1), mass.sum(1)]
    assert found == pytest.approx(np.stack(slow, axis=1))
    mass = np.einsum("kc,pkc->pk", maps, masks[np.asarray(many)])
    assert paired_sums(maps, masks, many, code, 2)[:, 2] == pytest.approx(mass.sum(1))


def test_blocks_of_the_pairwise_product_change_nothing(prepared, monkeypatch):
    _, features, scored = prepared
    whole = alignment_table(scored, features, CLASSES, **QUICK)
    monkeypatch.setattr("xattn.analysis.alignment.pairs._GATHER", 5000)
    cut = alignment_table(scored, features, CLASSES, **QUICK)
    assert whole["p_value"].tolist() == cut["p_value"].tolist()
    assert whole["chance_lift"].to_numpy() == pytest.approx(cut["chance_lift"].to_numpy())


def test_same_seed_same_table(prepared):
    _, features, scored = prepared
    first, again = (alignment_table(scored, features, CLASSES, **QUICK) for _ in range(2))
    other = alignment_table(scored, features, CLASSES, seed=1, **QUICK)
    assert first.equals(again)
    assert not first.equals(other)


def test_a_map_that_keeps_off_a_structure_is_significant_too(prepared):
    planted, features, _ = prepared
    away = planted.run.maps("gradcam").max() - planted.run.maps("gradcam")
    scored = score_masks({"away": away}, {"away": planted.run.cells("gradcam")}, features)
    avoided = row(alignment_table(scored, features, CLASSES, **QUICK), "away", "network")
    assert avoided["lift_over_chance"] < 1
    assert avoided["p_adjusted"] < 0.05


def test_degenerate_maps_are_counted_and_left_out(prepared):
    planted, features, _ = prepared
    maps = planted.run.maps("gradcam").copy()
    bad = np.flatnonzero(planted.labels == "benign")[:4]
    maps[bad] = 0
    scored = score_masks({"gradcam": maps}, cells_of(planted.run), features)
    table = alignment_table(scored, features, CLASSES, **QUICK)
    benign, every = (row(table, "gradcam", "dots", name) for name in ("benign", ALL_LABELS))
    assert benign["degenerate"] == every["degenerate"] == 4
    assert row(table, "gradcam", "dots", "malignant")["degenerate"] == 0
    assert every["n"] == every["n_tested"] == len(planted.labels) - 4
    assert np.isfinite(every[["mass", "auc", "lift", "p_value"]].to_numpy(float)).all()


def test_few_groups_give_no_interval_and_odd_ones_are_not_tested(tmp_path):
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3])
    _, features, scored = prepare(tmp_path, 12, groups=groups)
    table = alignment_table(scored, features, CLASSES, **QUICK)
    found = row(table, "gradcam", "dots")
    assert found["groups"] == 4
    assert np.isnan(found["lift_low"])
    assert found["n_tested"] < 12


def test_labels_nobody_has_get_no_rows_and_no_labels_only_all(tmp_path):
    _, features, scored = prepare(tmp_path, 12)
    table = alignment_table(scored, features, [*CLASSES, "naevus"], **QUICK)
    assert set(table["label"]) == {*CLASSES, "all"}
    features.table["label"] = None
    table = alignment_table(scored, features, CLASSES, **QUICK)
    assert set(table["label"]) == {"all"}
    assert row(table, "gradcam", "dots")["n"] == row(table, "gradcam", "dots")["n_tested"] == 12


def test_nothing_scored_gives_an_empty_table(prepared):
    assert alignment_table([], prepared[1], CLASSES).empty


def test_each_row_says_how_many_cells_its_masks_cover_in_the_median(prepared, table):
    """An 8 x 8 map of a view of 32 x 32 pixels: a cell is worth 16 pixels."""
    _, features, _ = prepared
    masks = np.asarray(features.masks("dots")[:])
    label = features.table["label"].to_numpy()
    for name in (*CLASSES, ALL_LABELS):
        some = masks if name == ALL_LABELS else masks[label == name]
        expected = np.median([mask.sum() / 16 for mask in some])
        assert row(table, "gradcam", "dots", name)["mask_cells"] == pytest.approx(expected)
    assert not row(table, "gradcam", "dots")["too_coarse"]


def test_a_row_whose_masks_cover_less_than_a_cell_is_too_coarse_and_named_in_a_note(prepared):
    planted, features, _ = prepared
    coarse = {m: planted.run.maps(m)[:, [0, -1]][:, :, [0, -1]] for m in planted.run.methods}
    places = {m: Cells((0.0, 16.0), (0.0, 16.0), (32, 32)) for m in coarse}
    found = alignment_table(score_masks(coarse, places, features), features, CLASSES, **QUICK)
    own = found[found["method"] != CENTRE_PRIOR]
    assert own["too_coarse"].equals(own["mask_cells"] < 1)
    assert row(found, "gradcam", "dots")["too_coarse"]
    assert not row(found, "gradcam", "lesion")["too_coarse"]
    (note,) = coarse_notes(found)
    assert "gradcam, attention are too coarse" in note
    assert "dots (0.1" in note
    assert "lesion" not in note
