import numpy as np
import pandas as pd
import pytest

from xattn.stats.codes import codes, group_codes, label_slices, positions
from xattn.stats.columns import as_column


@pytest.mark.parametrize(
    ("values", "aspect", "expected"),
    [
        ([0, 1, 1], "presence", [0, 1, 1]),
        ([True, False, None], "presence", [1, 0, np.nan]),
        ([0.0, 1.0, np.nan], "presence", [0, 1, np.nan]),
        ([55, 60, None], "value", [55, 60, np.nan]),
        ([1.5, np.inf, -np.inf], "value", [1.5, np.nan, np.nan]),
        (pd.Series([1, None, 2], dtype="Int64"), "value", [1, np.nan, 2]),
    ],
)
def test_numbers_and_truth_values_are_read_with_what_is_missing(values, aspect, expected):
    column = as_column(values)
    assert column.values == pytest.approx(expected, nan_ok=True)
    assert column.aspect == aspect
    assert not column.nominal


@pytest.mark.parametrize("kind", [list, pd.Series, pd.Categorical])
def test_names_become_categories(kind):
    column = as_column(kind(["scalp", "back", None, "back"]), "site")
    assert column.categories == ("back", "scalp")
    assert column.values == pytest.approx([1, 0, np.nan, 0], nan_ok=True)
    assert column.nominal
    assert column.known.tolist() == [True, True, False, True]


def test_codes_name_values_in_order_and_mark_missing_ones():
    found, names = codes(["b", None, "a", "b"])
    assert found.tolist() == [1, -1, 0, 1]
    assert names.tolist() == ["a", "b"]


def test_positions_are_those_in_the_list_given():
    values = pd.Series(["b", None, "z", "a"])
    assert positions(values, ["b", "a"]).tolist() == [0, -1, -1, 1]
    assert positions(values, []).tolist() == [-1] * 4
    assert positions(pd.Series([None, None]), ["a"]).tolist() == [-1, -1]


def test_missing_groups_are_alone():
    assert group_codes(None, 3).tolist() == [0, 1, 2]
    numbers = group_codes(["x", None, "x", None], 4)
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 3
    with pytest.raises(ValueError, match="Expected 2 groups"):
        group_codes(["x"], 2)


def test_label_slices_cover_the_rows():
    assert label_slices(np.array([0, 0, 2])) == [slice(0, 2), slice(2, 3)]
    assert label_slices(np.array([], dtype=int)) == []
