"""Groups by several columns and by pairs, against a slow twin."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from xattn.annotations.groups import join_groups

CELLS = st.none() | st.sampled_from(["a", "b", "c", "d"])


def slow_parts(n: int, columns: list[list[str | None]], pairs: list[tuple[int, int]]):
    """Merge sets until none share anything."""
    parts = [{i} for i in range(n)]
    tied = [set(pair) for pair in pairs]
    for cells in columns:
        for value in set(cells) - {None}:
            tied.append({i for i, cell in enumerate(cells) if cell == value})
    for together in tied:
        touched = [part for part in parts if part & together]
        parts = [part for part in parts if not part & together] + [set().union(*touched)]
    return {frozenset(part) for part in parts}


@settings(deadline=None, max_examples=80)
@given(data=st.data(), n=st.integers(1, 12), width=st.integers(0, 3))
def test_images_are_together_if_any_path_of_values_and_pairs_leads_there(data, n, width):
    columns = [data.draw(st.lists(CELLS, min_size=n, max_size=n)) for _ in range(width)]
    index = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=5))
    frame = pd.DataFrame({f"c{k}": pd.Series(c, dtype=object) for k, c in enumerate(columns)})
    frame = frame.reindex(range(n))

    groups = join_groups([f"i{i}" for i in range(n)], frame, [(f"i{a}", f"i{b}") for a, b in pairs])

    got = {frozenset(where) for where in groups.groupby(groups).groups.values()}
    alone = {frozenset([i]) for i in groups.index[groups.isna()]}
    assert got | alone == slow_parts(n, columns, pairs)


def test_one_column_is_the_group_as_it_is():
    groups = join_groups(["x", "y", "z"], pd.DataFrame({"lesion": ["l2", None, "l2"]}))
    assert groups.fillna("?").tolist() == ["l2", "?", "l2"]


def test_a_group_is_called_after_the_smallest_name_it_holds():
    columns = pd.DataFrame({"patient": ["p2", "p1", None], "lesion": ["l1", None, "l1"]})
    groups = join_groups(["x", "y", "z"], columns, [("x", "y"), ("x", "unknown")])
    assert groups.tolist() == ["lesion l1"] * 3


def test_equal_values_of_two_columns_are_no_tie():
    columns = pd.DataFrame({"patient": ["1", "2"], "lesion": ["2", "3"]})
    assert join_groups(["x", "y"], columns).nunique() == 2
