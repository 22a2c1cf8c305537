"""A finished run is added to: maps of other methods, labels, and images that were replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.runs.test_writer import FILES, SETTINGS, content, killed_at, maps, row
from xattn.errors import RunError
from xattn.runs import RunFolder
from xattn.runs.writer import RunWriter

FEW = FILES[:3]


def first(path: Path, methods: tuple[str, ...] = ("gradcam",)) -> RunFolder:
    writer = RunWriter.start(path, {**SETTINGS, "methods": list(methods)})
    writer.commit([row(f) | {"degenerate_gradcam": ""} for f in FEW], only(FEW, methods))
    return writer.finish()


def only(files: list[str], methods: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: values for name, values in maps(files).items() if name in methods}


def add(path: Path) -> RunFolder:
    """Add the attention of each image, in batches of two."""
    writer = RunWriter.start(path, {**SETTINGS, "methods": ["attention"]})
    lacking = [file for file in FEW if writer.missing(file)]
    for some in (lacking[:2], lacking[2:]):
        if some:
            rows = [row(f) | {"degenerate_attention": "zero"} for f in some]
            writer.commit(rows, only(some, ("attention",)), adds=True)
    return writer.finish()


def replace(path: Path) -> RunFolder:
    """Do the second image again, whose logit and map are others now."""
    writer = RunWriter.start(path, {**SETTINGS, "methods": ["gradcam"]})
    writer.redo(FEW[1])
    writer.commit([row(FEW[1]) | {"logit_benign": 9.0, "degenerate_gradcam": ""}],
                  {"gradcam": np.full((1, 2, 3), 9, np.float32)})  # fmt: skip
    return writer.finish()


def test_another_method_leaves_rows_and_maps_that_are_there_alone(tmp_path):
    run = first(tmp_path / "run")
    before, inode = run.predictions, (run.path / "maps.zarr/gradcam/zarr.json").stat().st_ino
    run = add(tmp_path / "run")
    assert run.methods == ["gradcam", "attention"]
    assert run.predictions[list(before)].equals(before)
    assert list(run.predictions["degenerate_attention"]) == ["zero"] * 3
    np.testing.assert_array_equal(run.maps("attention"), maps(FEW)["attention"].astype(np.float32))
    assert (run.path / "maps.zarr/gradcam/zarr.json").stat().st_ino == inode


def test_a_method_is_added_to_an_unfinished_run_too(tmp_path):
    writer = RunWriter.start(tmp_path / "run", {**SETTINGS, "methods": ["gradcam"]})
    writer.commit([row(f) for f in FEW], only(FEW, ("gradcam",)))
    run = add(tmp_path / "run")
    assert run.methods == ["gradcam", "attention"]
    np.testing.assert_array_equal(run.maps("attention"), maps(FEW)["attention"].astype(np.float32))


def test_a_replaced_image_keeps_its_place(tmp_path):
    first(tmp_path / "run")
    run = replace(tmp_path / "run")
    assert list(run.predictions["file"]) == FEW
    assert run.predictions["logit_benign"][1] == 9
    np.testing.assert_array_equal(run.maps("gradcam")[:, 0, 0], [1, 9, 3])


def test_a_replaced_image_that_cannot_be_read_any_more_goes(tmp_path):
    first(tmp_path / "run")
    writer = RunWriter.start(tmp_path / "run", {**SETTINGS, "methods": ["gradcam"]})
    writer.redo(FEW[1])
    writer.commit([], {}, [{"file": FEW[1], "stage": "decode", "error": "broken"}])
    run = writer.finish()
    assert list(run.predictions["file"]) == [FEW[0], FEW[2]]
    np.testing.assert_array_equal(run.maps("gradcam")[:, 0, 0], [1, 3])
    assert list(run.table("errors")["file"]) == [FEW[1]]


def test_labels_are_filled_in_and_changed_and_those_not_told_stay(tmp_path):
    first(tmp_path / "run")  # labels: benign, none, benign
    writer = RunWriter.start(tmp_path / "run", {**SETTINGS, "methods": ["gradcam"]})
    filled, changed = writer.label({"1": "malignant", "0": "malignant", "2": None, "9": "benign"})
    assert (filled, changed) == (["1"], {"0": "benign"})
    run = writer.finish()
    assert list(run.predictions["label"]) == ["malignant", "malignant", "benign"]


@pytest.mark.parametrize("change", [add, replace])
def test_a_kill_at_any_moment_leaves_the_same_bytes_and_never_a_mixture(tmp_path, change):
    def job(path: Path) -> Callable[[], RunFolder]:
        return lambda: change(path)

    first(tmp_path / "expected" / "run")
    expected = content(job(tmp_path / "expected" / "run")().path)
    moments = 0
    for n in range(1, 60):
        path = tmp_path / str(n) / "run"
        first(path)
        if not killed_at(n, job(path)):
            break
        moments += 1
        try:
            run = RunFolder.open(path)
        except RunError as err:
            if change is add:
                raise
            assert "repeat `xattn explain" in str(err)  # noqa: PT017 -- allowed, not required
        else:
            new = float(run.predictions["logit_benign"][1]) == 9
            assert (run.maps("gradcam")[1, 0, 0] == 9) == new
            for method in run.methods:
                assert len(run.maps(method)) == 3
        assert content(job(path)().path) == expected, f"killed at change {n}"
    assert 8 <= moments < 59
