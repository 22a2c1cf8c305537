from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.annotations.downloads import table
from xattn.annotations.frames import TableSpec, find_tables, image_keys, open_table, read_frame
from xattn.annotations.layouts.rows import as_values
from xattn.annotations.tables import image_key
from xattn.errors import AnnotationError


@pytest.mark.parametrize("name", ["ISIC_1.jpg", " ISIC_1 ", "ISIC_1_downsampled", "a.b.c", "x"])
def test_keys_of_a_column_are_those_of_its_cells(name: str):
    assert image_keys(pd.Series([name])).tolist() == [image_key(name)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_by_any_of_three_delimiters(tmp_path: Path, delimiter: str):
    lines = [delimiter.join(cells) for cells in (["a", " b ", "c"], ["1", " NA", "x y "])]
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    frame = read_frame(open_table(tmp_path / "t.csv"))
    assert list(frame.columns) == ["a", "b", "c"]
    assert frame.fillna("?").iloc[0].tolist() == ["1", "?", "x y"]


def test_tables_are_found_two_folders_deep_and_empty_ones_passed_over(tmp_path: Path):
    for name in ("a.csv", "x/b.csv", "x/y/c.csv", "x/y/z/d.csv"):
        table(tmp_path / name, "h,k")
    (tmp_path / "empty.csv").touch()
    assert [t.path.name for t in find_tables(tmp_path)] == ["a.csv", "b.csv", "c.csv"]


def test_a_table_is_of_a_kind_if_it_has_its_columns(tmp_path: Path):
    spec = TableSpec(id="image", known_by=("age",), one_hot={"MEL": "mel"})
    assert spec.needed == ("image", "age", "MEL")
    assert spec.is_kind_of(open_table(table(tmp_path / "t.csv", "age,x,MEL,image")))
    assert not spec.is_kind_of(open_table(table(tmp_path / "t.csv", "age,x,image")))


def test_a_file_that_is_no_table_is_named(tmp_path: Path):
    with pytest.raises(AnnotationError, match=r"gone\.csv, but got: No such file"):
        open_table(tmp_path / "gone.csv")
    ragged = table(tmp_path / "r.csv", "a,b", "1,2,3", "1,2,3,4,5")
    with pytest.raises(AnnotationError, match=r"Expected 2 cells in line 2 of .*r\.csv"):
        read_frame(open_table(ragged))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2.0", None], [1, 2, None]),
        (["1.5", "-3", "1e2"], [1.5, -3, 100]),
        (["1", "x"], ["1", "x"]),
        (["004", "5"], ["004", "5"]),
        (["0", "0.5"], [0, 0.5]),
        (["1", "inf"], ["1", "inf"]),
        ([None, "arm"], [None, "arm"]),
    ],
)
def test_cells_are_numbers_if_all_of_them_are(cells, values):
    got = as_values(pd.Series(cells, dtype=object))
    assert got == values
    assert [type(v) for v in got] == [type(v) for v in values]


@given(st.lists(st.none() | st.integers(-(10**9), 10**9).map(str), min_size=1))
def test_nominal_cells_stay_texts(cells):
    assert as_values(pd.Series(cells, dtype=object), nominal=True) == cells
