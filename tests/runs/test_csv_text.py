"""Text that a spreadsheet would run as a formula is text there, and reads back as it was."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xattn.runs import TableFolder
from xattn.runs.csv_text import guarded, unguarded
from xattn.splits.splits import read_splits, write_splits

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.2", "+3", "-1e-5", -1.2, 0, None, True, "a=b", "", "'x'"])
def test_numbers_and_all_else_stay(value):
    assert guarded(value) is value


@given(st.text(alphabet="=+-@'\t\r\nax1.", max_size=6))
def test_every_text_reads_back_and_none_is_a_formula(text):
    written = guarded(text)
    assert unguarded(written) == text
    assert written[:1] not in tuple("=@\t\r\n")


def test_tables_of_a_folder_are_written_so_and_read_back(tmp_path):
    table = pd.DataFrame({"file": FORMULAS, "stage": "decode", "error": "-1.5 is below 0",
                          "=name": -0.5})  # fmt: skip
    folder = TableFolder(tmp_path)
    path = folder.write_table("errors", table)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][-1] == "'=name"
    assert all(row[0].startswith("'") and row[-1] == "-0.5" for row in rows[1:])
    pd.testing.assert_frame_equal(folder.table("errors"), table)


def test_splits_are_too(tmp_path):
    # An id's outer blanks are no part of it, whichever table it stands in.
    ids = [text for text in FORMULAS if text == text.strip()]
    splits = dict.fromkeys([*ids, "img", "'a"], "train")
    (tmp_path / "splits.csv").write_text(write_splits(splits), newline="")
    assert read_splits(tmp_path / "splits.csv") == splits
