"""A bit that changes anywhere in a run folder is noticed, or changes nothing that is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.runs.whole_run import write_whole
from xattn.errors import RunError
from xattn.features.feature_set import FeatureSet
from xattn.runs import RunFolder
from xattn.runs.arrays import StoredArray, create_array
from xattn.runs.atomic import read_record, write_json
from xattn.runs.inputs import read_stamps
from xattn.runs.parquet import read_parquet, write_parquet

FLIPS = 40


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write_whole(tmp_path_factory.mktemp("flips"))


def read(path: Path) -> dict[str, object]:
    """Read all that the analyses, the figures and the report read of such a folder."""
    run = RunFolder.open(path)
    features = FeatureSet.open(run)
    return {
        "settings": run.settings,
        "predictions": run.predictions,
        **{f"maps of {name}": run.maps(name) for name in run.methods},
        **{f"masks of {name}": features.masks(name)[:] for name in features.masked},
        "features": features.table,
        "about features": (features.kinds, features.annotated, features.domain),
        "inputs": read_stamps(path / "inputs.parquet"),
        "analysis": read_record(path / "analysis.json"),
        **{name: run.table(name) for name in ("alignment", "feature_usage", "bias")},
    }


def same(a: object, b: object) -> bool:
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def read_or_refused(path: Path) -> dict[str, object] | RunError:
    try:
        return read(path)
    except RunError as err:
        return err


def blamed(file: Path) -> Path:
    """Return what is named for a file: of an array, the folder that is its own."""
    return next((p for p in file.parents if p.parent.suffix == ".zarr"), file)


KINDS = {
    "maps": "maps.zarr/*/c/**/*",
    "masks": "masks.zarr/*/c/**/*",
    "descriptions of arrays": "*.zarr/*/zarr.json",
    "predictions": "predictions.parquet",
    "features": "features.parquet",
    "inputs": "inputs.parquet",
    "records": "*.json",
    "tables": "[abf]*.csv",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bit_that_flips_is_refused_by_name_or_changes_nothing(written, tmp_path, kind):
    expected = read(written)
    shutil.copytree(written, tmp_path / "run")
    files = sorted(p for p in (tmp_path / "run").glob(KINDS[kind]) if p.is_file())
    assert files
    rng = np.random.default_rng(0)
    refused = 0
    for flip in range(FLIPS):
        file = files[flip % len(files)]
        whole = file.read_bytes()
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        file.write_bytes(data)
        found = read_or_refused(tmp_path / "run")
        file.write_bytes(whole)
        if isinstance(found, RunError):
            refused += 1
            assert "\n" not in str(found)
            assert str(blamed(file)) in str(found)
        else:
            differ = [name for name, value in expected.items() if not same(value, found[name])]
            assert not differ, (file, flip)
    assert refused > FLIPS // 2
    assert all(same(value, read(tmp_path / "run")[name]) for name, value in expected.items())


@pytest.mark.parametrize("store", ["maps.zarr/gradcam", "masks.zarr/ruler"])
def test_a_chunk_that_is_missing_is_no_chunk_of_zeros(written, tmp_path, store):
    shutil.copytree(written, tmp_path / "run")
    next(p for p in (tmp_path / "run" / store / "c").rglob("*") if p.is_file()).unlink()
    with pytest.raises(RunError, match=r"Expected all chunks of .*, but 1 are missing; .*repeat"):
        read(tmp_path / "run")


def test_chunks_of_zeros_alone_are_written(tmp_path):
    create_array(tmp_path / "a", (6, 2, 2), (2, 2, 2), "float32")[:] = np.zeros((6, 2, 2))
    assert not StoredArray(tmp_path / "a", "repeat")[:].any()


def test_arrays_and_tables_of_earlier_versions_are_read(tmp_path):
    import zarr

    old = zarr.create_array(tmp_path / "a", shape=(6, 2), chunks=(2, 2), dtype="float32")
    old[:2] = 1  # the other chunks are of zeros, and were not written
    stored = StoredArray(tmp_path / "a", "repeat")
    assert not stored.checked
    assert stored[:].sum() == 4
    table = pd.DataFrame({"a": [1.5, None], "b": ["x", None]})
    table.to_parquet(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "b.parquet", "repeat"), table)
    (tmp_path / "c.json").write_text('{"a": 1}')
    assert read_record(tmp_path / "c.json") == {"a": 1}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame({"text": ["a", None], "flag": [True, False], "n": [1, 2], "x": [0.5, np.nan]}),
        pd.DataFrame({"c": pd.Categorical(["a", "b"]), "i": pd.array([1, None], "Int64")}),
    ],
    ids=["nothing", "no rows", "kinds", "categories"],
)
def test_a_table_comes_back_as_pandas_alone_would_bring_it(tmp_path, table):
    write_parquet(table, tmp_path / "a.parquet")
    table.to_parquet(tmp_path / "b.parquet", index=False)
    pd.testing.assert_frame_equal(
        read_parquet(tmp_path / "a.parquet", "repeat"), pd.read_parquet(tmp_path / "b.parquet")
    )


def test_a_record_that_was_changed_on_purpose_says_how_to_have_it_read(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"classes": ["a", "b"], "x": float("nan"), "ü": 0.1 + 0.2})
    assert read_record(path) == {"classes": ["a", "b"], "x": None, "ü": 0.1 + 0.2}
    path.write_text(path.read_text().replace('"a"', '"c"'))
    with pytest.raises(RunError, match=r"as it was written.*take its last entry away, 'checksum'"):
        read_record(path)


def test_a_record_of_a_later_form_is_refused_with_the_version_that_made_it(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"schema": "xattn-run/2", "versions": {"xattn": "7.0"}})
    with pytest.raises(RunError, match=r"Expected xattn-run/1 in .*, written by xattn 7\.0; read"):
        read_record(path)
