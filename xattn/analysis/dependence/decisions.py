"""From the p-values of several statistics to one decision on a feature.

`min-p` is the default: the least p-value, ranked among the least of every permutation, so exact.
`majority` mirrors the protocol of Reimers, Penzel et al. (ECCV 2020, CVPRW 2021), who call a
feature used if most of several conditional independence tests reject. Their tests and settings are
not public in full: the three votes here are a reconstruction (a kernel test, one of random
features, one of nearest neighbours), all against the same exact permutations within labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xattn.analysis.dependence.registry import STATISTICS, Statistic
from xattn.errors import UsageError, near
from xattn.stats.adjust import minimum_p, permuted_p
from xattn.stats.arrays import Floats


def majority_p(values: Floats) -> Floats:
    """Return the p-value at which most statistics would just reject, for each row: (1 + P,).

    That is the median of their p-values (the upper one of an even number). No exact level follows
    from it, though each vote is exact.

    Args:
        values: (1 + P, statistics), the observed ones first; large means dependent.
    """
    each = np.sort(permuted_p(values), axis=1)
    return each[:, each.shape[1] // 2]


@dataclass(frozen=True)
class Decision:
    """A rule.

    Attributes:
        name: what users call it.
        tests: the statistics it takes by default.
        combine: (1 + P, statistics) -> p-value of each row, (1 + P,).
        exact: whether its p-values are exact, so that permutations can adjust them over features.
    """

    name: str
    tests: tuple[str, ...]
    combine: Callable[[Floats], Floats]
    exact: bool = True


DECISIONS: dict[str, Decision] = {
    "min-p": Decision("min-p", ("rank", "dcor", "hsic"), minimum_p),
    "majority": Decision(
        "majority", ("hsic", "random-feature", "nearest-neighbour"), majority_p, exact=False
    ),
}


def find_decision(name: str) -> Decision:
    """Return the rule of this name; the name of a statistic is the rule that it decides alone.

    Raises:
        UsageError: there is none.
    """
    if name in DECISIONS:
        return DECISIONS[name]
    if name in STATISTICS:
        return Decision(name, (name,), minimum_p)
    raise UsageError(f"Unknown decision {name!r}{near(name, [*DECISIONS, *STATISTICS])}")


def find_statistic(name: str) -> Statistic:
    """Return the statistic of this name.

    Raises:
        UsageError: there is none.
    """
    return STATISTICS.find(name)
