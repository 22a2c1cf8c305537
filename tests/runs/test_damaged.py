"""Batches that a full disk or a power cut left are done again, and a table that lies is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from tests.runs.test_writer import FILES, SETTINGS, content, do, maps, row
from xattn.errors import RunError
from xattn.runs import RunFolder
from xattn.runs.writer import RunWriter


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, empty, noise, Path.unlink])
@pytest.mark.parametrize("suffix", [".json", ".parquet", ".npz"])
def test_a_damaged_batch_is_done_again_and_said(tmp_path, suffix, damage):
    expected = content(do(tmp_path / "expected" / "run", FILES[:4], bad=set()).path)
    path = tmp_path / "other" / "run"
    writer = RunWriter.start(path, SETTINGS)
    writer.commit([row(f) for f in FILES[:2]], maps(FILES[:2]))
    writer.commit([row(f) for f in FILES[2:4]], maps(FILES[2:4]))
    damage(path / ".progress" / f"batch-000000{suffix}")
    again = RunWriter.start(path, SETTINGS)
    assert again.files_done == set(FILES[2:4])
    if not (suffix == ".json" and damage is Path.unlink):  # that was never committed
        assert again.notes == ["1 damaged batch of an earlier call: done again"]
    run = do(path, FILES[:4], bad=set())
    assert set(run.predictions["file"]) == set(FILES[:4])
    for i, file in enumerate(run.predictions["file"]):
        np.testing.assert_array_equal(run.maps("gradcam")[i], maps([file])["gradcam"][0])
    assert set(content(path)) == set(expected)


def test_bytes_that_changed_in_the_maps_of_a_batch_are_noticed(tmp_path):
    writer = RunWriter.start(tmp_path / "run", SETTINGS)
    writer.commit([row(f) for f in FILES[:2]], maps(FILES[:2]))
    flipped(tmp_path / "run" / ".progress" / "batch-000000.npz")
    assert RunWriter.start(tmp_path / "run", SETTINGS).files_done == set()


@pytest.mark.parametrize("damage", [cut, empty, noise])
def test_a_damaged_table_is_named_with_the_way_out(tmp_path, damage):
    path = do(tmp_path / "run").path / "predictions.parquet"
    damage(path)
    for attempt in (lambda: RunWriter.start(tmp_path / "run", SETTINGS),
                    lambda: RunFolder.open(tmp_path / "run").predictions):  # fmt: skip
        with pytest.raises(RunError, match=r"Expected a table in .*predictions.parquet.*delete it"):
            attempt()


class TestFinishRefuses:
    def test_an_image_in_two_batches(self, tmp_path):
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        for _ in range(2):
            writer.commit([row(FILES[0])], maps(FILES[:1]))
        with pytest.raises(RunError, match=r"Expected each image once in .*images/0.png in two"):
            writer.finish()

    def test_an_id_of_two_files(self, tmp_path):
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        rows = [row(FILES[0]), {**row(FILES[1]), "image_id": "0"}]
        writer.commit(rows, maps(FILES[:2]))
        with pytest.raises(RunError, match=r"the id '0' of images/0.png and images/1.png"):
            writer.finish()

    def test_a_table_in_which_an_image_stands_twice(self, tmp_path):
        path = do(tmp_path / "run", FILES[:2]).path / "predictions.parquet"
        table = pd.read_parquet(path)
        pd.concat([table, table.iloc[:1]]).to_parquet(path)
        writer = RunWriter.start(tmp_path / "run", SETTINGS)
        with pytest.raises(RunError, match=r"images/0.png twice in its table.*another folder"):
            writer.finish()

    def test_maps_that_are_fewer_than_the_rows(self, tmp_path):
        path = do(tmp_path / "run", FILES[:4], bad=set()).path
        zarr.open_array(path / "maps.zarr" / "gradcam", mode="r+").resize((3, 2, 3))
        with pytest.raises(RunError, match=r"Expected 4 maps of 'gradcam' .*, but got 3"):
            do(path, FILES, bad=set())
