"""Which images belong to one group, by several columns or by lists of duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def join_groups(
    ids: Sequence[str], columns: pd.DataFrame, pairs: Sequence[tuple[str, str]] = ()
) -> pd.Series:
    """Name the group of each image: all that a shared value or a pair holds together, by any path.

    Args:
        ids: the images, each once.
        columns: texts, one row an image, some missing; two images that share a value of a column
            are in one group.
        pairs: ids that are in one group; those of other images are passed over.

    Returns:
        Texts, missing for an image that stands alone for all that is known. With one column and
        no pairs, the column as it is; else the smallest of the names that it holds together.
    """
    place = {one: i for i, one in enumerate(ids)}
    tied = [(place[a], place[b]) for a, b in pairs if a in place and b in place]
    if len(columns.columns) == 1 and not tied:
        return columns.iloc[:, 0].reset_index(drop=True)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    several = len(columns.columns) > 1
    n, size = len(ids), len(ids)
    starts, ends, names = [], [], [pd.Series(dtype=object)]
    for column in columns.columns:
        cells = columns[column].reset_index(drop=True).dropna()
        codes, _ = pd.factorize(cells)
        starts.append(cells.index.to_numpy())
        ends.append(codes + size)
        names.append(f"{column} " + cells if several else cells)
        size += int(codes.max(initial=-1)) + 1
    left, right = np.array(tied, dtype=np.intp).reshape(-1, 2).T
    rows, cols = np.concatenate([*starts, left]), np.concatenate([*ends, right])
    graph = coo_array((np.ones(len(rows)), (rows, cols)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    group = pd.Series(component[:n])

    known = pd.concat(names)
    smallest = known.groupby(group.loc[known.index].to_numpy()).min()
    named = group.map(smallest)
    # Pairs of images that have no value: named for the first of them.
    nameless = named.isna() & group.duplicated(keep=False)
    first = pd.Series(ids, dtype=object).groupby(group).min()
    return named.where(~nameless, "copies of " + group.map(first)).astype(object)
