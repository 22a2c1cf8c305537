"""Where the nodes of a small graph stand: in layers, with few crossings (Sugiyama et al. 1981).

Own code, for want of a library that does it: networkx places nodes by layer but knows neither the
widths of boxes, nor crossings, nor the way of an edge past the layers between; graphviz does, as a
program that is no Python package; grandalf, in Python, has had no release since January 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_SWEEPS = 24
_PULL = (1.0, 2.0, 8.0)  # of an edge with no, one, two ends in a lane


@dataclass(frozen=True)
class Layout:
    """Positions; x grows to the right from 0, layers count down from 0.

    Attributes:
        x: node -> its middle.
        layer: node -> its layer.
        paths: edge (source, target) -> x in every layer from the source's to the target's.
        width: of the whole.
    """

    x: dict[int, float]
    layer: dict[int, int]
    paths: dict[tuple[int, int], list[float]]
    width: float


def lay_out(
    layer: Mapping[int, int],
    edges: Sequence[tuple[int, int]],
    widths: Mapping[int, float],
    gap: float,
    lane: float,
) -> Layout:
    """Order each layer so that few edges cross, and keep nodes near those they belong to.

    Edges over several layers get a lane of their own in each layer between, so that they pass no
    node's place.

    Args:
        layer: node -> layer; every edge goes to a higher one.
        edges: pairs of nodes.
        widths: node -> width.
        gap: least distance between neighbours.
        lane: width of a lane.
    """
    edges = list(dict.fromkeys(edges))
    rows: list[list[int]] = [[] for _ in range(1 + max(layer.values()))]
    for node, at in layer.items():
        rows[at].append(node)
    size = dict(widths)
    links: list[tuple[int, int]] = []
    chains: dict[tuple[int, int], list[int]] = {}
    following = 1 + max(layer)
    for source, target in edges:
        chain = [source]
        for at in range(layer[source] + 1, layer[target]):
            rows[at].append(following)
            size[following] = lane
            chain.append(following)
            following += 1
        chain.append(target)
        chains[source, target] = chain
        links += list(pairwise(chain))
    rows = _ordered(rows, links)
    x = _placed(rows, links, size, layer, gap)
    left = min(x[n] - size[n] / 2 for n in size)
    right = max(x[n] + size[n] / 2 for n in size)
    return Layout(
        {n: x[n] - left for n in layer},
        dict(layer),
        {edge: [x[n] - left for n in chain] for edge, chain in chains.items()},
        right - left,
    )


def _ordered(rows: list[list[int]], links: list[tuple[int, int]]) -> list[list[int]]:
    """Sort each layer by the mean place of its neighbours above, then below, keeping the best."""
    best, least = rows, _crossings(rows, links)
    for sweep in range(_SWEEPS):
        rows = [list(row) for row in rows]
        down = sweep % 2 == 0
        for at in range(len(rows)) if down else reversed(range(len(rows))):
            other = at - 1 if down else at + 1
            if not 0 <= other < len(rows):
                continue
            place = {n: i for i, n in enumerate(rows[other])}
            near = {n: _neighbours(n, links, place) for n in rows[at]}
            now = {n: i for i, n in enumerate(rows[at])}
            rows[at].sort(key=lambda n: float(np.mean(near[n])) if near[n] else now[n])
        found = _crossings(rows, links)
        if found < least:
            best, least = rows, found
    return best


def _neighbours(node: int, links: list[tuple[int, int]], place: dict[int, int]) -> list[float]:
    ends = [b if a == node else a for a, b in links if node in (a, b)]
    return [float(place[end]) for end in ends if end in place]


def _crossings(rows: list[list[int]], links: list[tuple[int, int]]) -> int:
    place = {n: (at, i) for at, row in enumerate(rows) for i, n in enumerate(row)}
    by_layer: dict[int, list[tuple[int, int]]] = {}
    for a, b in links:
        by_layer.setdefault(place[a][0], []).append((place[a][1], place[b][1]))
    return sum(
        (a - c) * (b - d) < 0
        for ends in by_layer.values()
        for i, (a, b) in enumerate(ends)
        for c, d in ends[:i]
    )


def _placed(
    rows: list[list[int]],
    links: list[tuple[int, int]],
    size: Mapping[int, float],
    nodes: Mapping[int, int],
    gap: float,
) -> dict[int, float]:
    """Find the places that make edges short and straight; a layer keeps its order and distances.

    The least sum of sideways distances, as a linear programme (Gansner et al. 1993, section 4).
    Lanes count most, so that long edges bend last.
    """
    from scipy.optimize import linprog

    number = {n: i for i, n in enumerate(n for row in rows for n in row)}
    pull = [_PULL[(a not in nodes) + (b not in nodes)] for a, b in links]
    count = len(number) + len(links)
    limits, bounds = [], []
    for k, (a, b) in enumerate(links):  # the slack is at least the distance, either way
        for sign in (1.0, -1.0):
            line = np.zeros(count)
            line[[number[a], number[b], len(number) + k]] = sign, -sign, -1.0
            limits.append(line)
            bounds.append(0.0)
    for row in rows:
        for a, b in pairwise(row):
            line = np.zeros(count)
            line[[number[a], number[b]]] = 1.0, -1.0
            limits.append(line)
            bounds.append(-(size[a] + size[b]) / 2 - gap)
    found = linprog(np.array([0.0] * len(number) + pull), np.array(limits), bounds)
    return {n: float(found.x[i]) for n, i in number.items()}
