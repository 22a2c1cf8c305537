"""Tables as programs and spreadsheets write them, read alike by every reader."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xattn.annotations.frames import open_table, read_frame
from xattn.annotations.layouts.rows import as_values
from xattn.annotations.numbers import codes_for_unknown, plain_numbers
from xattn.annotations.sheets import read_first_record, read_sheet
from xattn.annotations.tables import read_table
from xattn.errors import AnnotationError, Remark
from xattn.features.from_csv import read_more_features
from xattn.splits.from_lists import bind_by_lists
from xattn.splits.samples import Sample

ROWS = [["image_id", "Größe", "Ort"], ["a", "4.5", "Rücken"], ["b", "10", "Arm, links"]]
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
LINE_ENDS = {"unix": "\n", "windows": "\r\n", "old mac": "\r"}


def write(path: Path, rows=ROWS, delimiter=",", encoding="utf-8", line_end="\n") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def by_sheet(path: Path) -> list[str]:
    return [str(float(cell)) for cell in read_sheet(path).by_column["Größe"]]


def by_frame(path: Path) -> list[str]:
    return [str(float(cell)) for cell in read_frame(open_table(path))["Größe"]]


def by_table(path: Path) -> list[str]:
    table = read_table(path, ["a", "b"], lambda _: None)
    return [str(float(table.cell(one, "Größe"))) for one in ("a", "b")]


def by_features(path: Path) -> list[str]:
    return [str(value) for value in read_more_features(path).columns(["a", "b"], set())["Größe"]]


READERS = {"sheet": by_sheet, "frame": by_frame, "table": by_table, "features": by_features}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_every_reader_reads_every_dialect(tmp_path, reader, encoding, delimiter):
    for line_end in LINE_ENDS.values():
        path = write(tmp_path / "t.csv", ROWS, DELIMITERS[delimiter], encoding, line_end)
        assert READERS[reader](path) == ["4.5", "10.0"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("delimiter", ["semicolon", "tab", "bar", "comma"])
def test_every_reader_takes_decimal_commas_as_numbers(tmp_path, reader, delimiter):
    rows = [ROWS[0], ["a", "4,5", "x"], ["b", "10", "y"]]
    path = write(tmp_path / "t.csv", rows, DELIMITERS[delimiter])
    assert READERS[reader](path) == ["4.5", "10.0"]


def test_lists_of_a_split_are_read_in_every_dialect(tmp_path):
    samples = [Sample(one, Path(one), 0) for one in ("a", "b")]
    path = write(tmp_path / "t.csv", ROWS, ";", "utf-16")
    bound, _ = bind_by_lists(samples, {"train": path})
    assert [sample.split for sample in bound] == ["train", "train"]


def test_line_ends_inside_quotes_are_no_line_ends(tmp_path):
    (tmp_path / "t.csv").write_text('image_id,note\na,"two\nlines"\n"b","say ""x"", y"\n')
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.rows == (("a", "two\nlines"), ("b", 'say "x", y'))


def test_a_comma_in_texts_does_not_hide_a_semicolon(tmp_path):
    (tmp_path / "t.csv").write_text("id;a,b;c\n1;x,y,z;2,5\n2;x,y,z;3,5\n")
    assert read_sheet(tmp_path / "t.csv").columns == ("id", "a,b", "c")


def test_what_excel_and_pandas_add_is_taken_away_and_said(tmp_path):
    (tmp_path / "t.csv").write_text(
        "sep=,\n,image_id,x,\n0,a,1,\n,,,\n1,b,2,\n\n2,b,2,\n", encoding="utf-8-sig"
    )
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.columns == ("image_id", "x")
    assert sheet.rows == (("a", "1"), ("b", "2"))
    said = "; ".join(sheet.notes)
    assert "column 1 (without a name) only numbers the lines" in said
    assert "1 lines that are there already" in said


def test_columns_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,x\n1,2,3\n")
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.columns == ("id", "x", "x.1")
    assert "2 columns are called 'x'" in sheet.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04xl/workbook.xml", "an Excel workbook .*export it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "an old Excel workbook; export it as CSV"),
        (b"\x1f\x8b\x08", "Expected a CSV file at .*, but got: "),
        (b"a,b\n1,2,3\n", "Expected 2 cells in line 2 of .*, but got 3; a cell that holds a comma"),
        (b'a,b\n1,"2\n', "line 2 is none: .*is a quote not closed"),
    ],
)
def test_what_is_no_table_is_named_with_the_way_out(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(AnnotationError, match=words) as caught:
        read_sheet(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)
    assert "t.csv" in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=80))
def test_no_bytes_raise_anything_else(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    for read in (read_sheet, lambda path: read_frame(open_table(path))):
        try:
            read(tmp_path / "t.csv")
        except AnnotationError as err:
            assert "\n" not in str(err)  # noqa: PT017 -- or none


_CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
    min_size=1,
    max_size=6,
).filter(lambda text: text.strip() == text and not any(c in text for c in "0123456789\ufeff"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.lists(_CELL, min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(sorted(DELIMITERS.values())),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read_again(tmp_path, rows, delimiter, encoding):
    header = ["one", "two", "three"]
    write(tmp_path / "t.csv", [header, *rows], delimiter, encoding)
    sheet = read_sheet(tmp_path / "t.csv", texts=header)
    assert sheet.rows == tuple(dict.fromkeys(map(tuple, rows)))


@pytest.mark.parametrize(
    ("cells", "delimiter", "plain", "words"),
    [
        (["4,12", "5"], ";", ["4.12", "5"], "decimal commas are read as such"),
        (["4,12", "5"], ",", ["4.12", "5"], "decimal commas are read as such"),
        (["0,123", "0,5"], ",", ["0.123", "0.5"], "decimal commas"),
        (["-0,5", "1,5e3"], "\t", ["-0.5", "1.5e3"], "decimal commas"),
        (["1.234,5", "2"], ";", ["1234.5", "2"], "points between thousands"),
        (["1,234.5", "2"], ";", ["1234.5", "2"], "separators of thousands"),
        (["1,234", "2,500"], ",", ["1234", "2500"], "if they are decimal commas, write a point"),
        (["1,234", "2,500"], ";", ["1.234", "2.500"], "if they separate thousands, leave them out"),
        (["4,1", "NA", ""], ";", ["4.1", "NA", ""], "decimal commas"),
        (["4,1", "5,2", "ca. 6"], ";", ["4,1", "5,2", "ca. 6"], "read as text.*'ca. 6'"),
        (["a,b", "c"], ";", ["a,b", "c"], "^$"),
        (["004,1", "5"], ";", ["004,1", "5"], "^$"),
        (["1", "2.5"], ";", ["1", "2.5"], "^$"),
    ],
)
def test_numbers_with_commas_are_numbers_and_that_is_said(cells, delimiter, plain, words):
    import re

    found, said = plain_numbers(cells, delimiter)
    assert found == plain
    assert re.search(words, said)


@pytest.mark.parametrize(
    ("numbers", "codes"),
    [
        ([55, 60, 42, -1], [-1]),
        ([55, 60, 42, -9, -99], [-9, -99]),
        ([12.5, 3, 7, 9999], [9999]),
        ([70, 80, 90, 999], [999]),
        ([0, 1, -1, 0], []),  # -1, 0, 1 may be a code of its own
        ([1, -1], []),
        ([0.5, -1, -2.5, 3], []),  # another negative
        ([500, 998, 999, 3], []),
        ([55, 60, 42], []),
    ],
)
def test_numbers_that_stand_for_not_known_are_told_from_values(numbers, codes):
    assert [code for code, _ in codes_for_unknown(numbers)] == codes


def test_codes_are_left_out_counted_and_explained():
    notes: list[str] = []
    cells = pd.Series(["55", "-1", "60", "-1", "42", None])
    assert as_values(cells, note=notes.append) == [55, None, 60, None, 42, None]
    assert notes == ["2 cells of -1 are taken as not known: no other is below 0"]


def test_a_column_of_numbers_that_is_read_as_text_is_said():
    notes: list[str] = []
    as_values(pd.Series(["55", "60", "61", "60+"]), note=notes.append)
    assert notes == [
        "is read as text, though most cells are numbers, for 1 of 4 are none, such as '60+'"
    ]


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "unknown", "UNK", "?", "null", "#N/A"])
def test_cells_that_say_nothing_are_unknown(tmp_path, word):
    rows = [["id", "n", "t"], ["a", "1", "x"], ["b", word, word]]
    frame = read_frame(open_table(write(tmp_path / "t.csv", rows)))
    assert frame.loc[1, ["n", "t"]].isna().all()


def test_none_is_unknown_among_numbers_and_a_word_among_words(tmp_path):
    rows = [["id", "n", "t"], ["a", "1", "laser"], ["b", "none", "none"]]
    frame = read_frame(open_table(write(tmp_path / "t.csv", rows)))
    assert pd.isna(frame.loc[1, "n"])
    assert frame.loc[1, "t"] == "none"


def test_how_many_images_have_a_row_is_said_and_none_is_an_error(tmp_path):
    path = write(tmp_path / "t.csv", [["image", "x"], ["A.JPG", "1"], ["7", "2"]])
    notes: list[str] = []
    read_table(path, ["a", "b"], notes.append)
    assert notes == [
        "1 of 2 images have a row in t.csv, 1 of them spelled otherwise ('A.JPG' is 'a')"
    ]
    assert isinstance(notes[0], Remark)
    with pytest.raises(AnnotationError, match=r"none of them: '0007' here, 'A.JPG' there.*zeros"):
        read_table(path, ["0007"], notes.append)


def test_a_parquet_table_is_read_as_texts(tmp_path):

    path = tmp_path / "t.parquet"
    table = pd.DataFrame({"id": ["007", "8"], "age": [55, None], "ok": [True, False]})
    table.assign(blob=[b"x", b"y"]).to_parquet(path)
    assert read_first_record(path)[1] == ["id", "age", "ok", "blob"]
    sheet = read_sheet(path, texts=["id"])
    assert sheet.columns == ("id", "age", "ok", "blob")
    assert sheet.rows == (("007", "55.0", "True", ""), ("8", "", "False", ""))
    (tmp_path / "torn.parquet").write_bytes(path.read_bytes()[:60])
    with pytest.raises(AnnotationError, match=r"a Parquet table at .*torn\.parquet, but got"):
        read_sheet(tmp_path / "torn.parquet")


def test_a_table_packed_by_gzip_is_read(tmp_path):
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("id;age\na;4,5\n")
    assert read_first_record(tmp_path / "t.csv.gz")[1] == ["id", "age"]
    assert read_sheet(tmp_path / "t.csv.gz").rows == (("a", "4.5"),)
