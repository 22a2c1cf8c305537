import numpy as np
import pytest

from tests.figures.populated import block_masks, explained_run, populated_run, write_masks
from xattn.figures.choose import in_turn, ranked
from xattn.figures.run_sources import RunSources


def test_images_with_more_features_come_first_and_confidence_decides_ties(tmp_path):
    run = populated_run(tmp_path, n=40)
    frame = ranked(run)
    keys = list(zip(-frame["features"], -frame["confidence"], strict=True))
    assert keys == sorted(keys)
    assert sorted(frame["row"]) == list(range(40))
    assert frame["features"].max() >= 3


def test_the_lesion_does_not_count_as_a_feature(tmp_path):
    run = explained_run(tmp_path, n=6)
    everywhere = np.ones((6, 32, 32), bool)
    write_masks(run, {"lesion": everywhere, "ruler": everywhere & False})
    assert RunSources(run).features_seen.tolist() == [0] * 6


def test_every_pair_of_label_and_prediction_gets_its_turn(tmp_path):
    frame = ranked(populated_run(tmp_path, n=60))
    shown = in_turn(frame, ["label", "predicted"], 8)
    assert len(shown) == 8
    assert shown.groupby(["label", "predicted"]).size().tolist() == [2, 2, 2, 2]


def test_a_group_that_runs_out_leaves_its_turns_to_the_others(tmp_path):
    frame = ranked(populated_run(tmp_path, n=10))
    assert len(in_turn(frame, ["label", "predicted"], 48)) == 10


def test_without_labels_nothing_is_called_right_or_wrong(tmp_path):
    frame = ranked(populated_run(tmp_path, labels=False))
    assert set(frame["label"]) == {""}
    assert frame["correct"].isna().all()


def test_labels_of_the_annotations_serve_where_the_run_has_none(tmp_path):
    run = populated_run(tmp_path, labels=False)
    path = run.path / "features.parquet"
    table = RunSources(run).features.table.assign(label="benign")
    table.to_parquet(path, index=False)
    assert set(ranked(run)["label"]) == {"benign"}


@pytest.mark.parametrize("rows", [[], [3], [5, 1, 5]])
def test_masks_are_read_in_the_order_asked_for(tmp_path, rows):
    run = explained_run(tmp_path, n=6)
    masks = block_masks(np.random.default_rng(3), 6)
    write_masks(run, {"ruler": masks})
    read = RunSources(run).masks(rows)
    assert len(read) == len(rows)
    for row, found in zip(rows, read, strict=True):
        assert ("ruler" in found) == masks[row].any()
        if found:
            np.testing.assert_array_equal(found["ruler"], masks[row])


def test_without_an_analysis_there_are_no_masks(tmp_path):
    sources = RunSources(explained_run(tmp_path, n=4))
    assert sources.masked == []
    assert sources.masks([0, 1]) == [{}, {}]
    assert sources.features_seen.tolist() == [0] * 4
