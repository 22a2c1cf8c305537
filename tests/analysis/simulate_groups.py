"""Level and coverage of what is said of groups and trap sets, by simulation.

`python -m tests.analysis.simulate_groups` prints the full tables; every number is seeded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.trap import Side, trap_table
from xattn.analysis.groups.auc_gap import delong_p
from xattn.analysis.groups.fairness import fairness_table
from xattn.analysis.groups.rates import Outcomes
from xattn.stats.columns import as_column


def outcomes(label: np.ndarray, score: np.ndarray) -> Outcomes:
    """A classifier of two that says malignant where its score is above 0."""
    return Outcomes(label, (score > 0).astype(int), np.stack([-score, score], 1), ["b", "m"], 1)


# --- groups of patients --------------------------------------------------------------------------


def sites(
    rng: np.random.Generator, n: int, shift: float
) -> tuple[np.ndarray, Outcomes, np.ndarray]:
    """Four sites tied to the label, pairs of images nearly alike; the score is shifted in one."""
    group = np.arange(n) // 2
    site = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])[group]
    label = (rng.random(n)[group] < np.array([0.3, 0.4, 0.5, 0.6])[site]).astype(int)
    score = rng.normal(size=n)[group] + 0.3 * rng.normal(size=n) + 2 * label - 1
    return np.array(list("abcd"))[site], outcomes(label, score + shift * (site == 2)), group


def fairness_rates(repetitions: int, n: int, shift: float) -> pd.DataFrame:
    """Rejections at .05 and coverage of the intervals of equalised odds and demographic parity."""
    site, said, _ = sites(np.random.default_rng(0), 400_000, shift)
    truth = pd.Series(_apart(site, said))
    if not shift:
        truth[:2] = [0.0, 1.0]
    found = []
    for seed in range(repetitions):
        site, said, group = sites(np.random.default_rng([seed, n, 3]), n, shift)
        drawing = {"permutations": 199, "bootstrap": 199, "seed": seed}
        table = fairness_table([as_column(site, "site")], said, group, **drawing)
        held = (table["low"] <= truth) & (truth <= table["high"])
        found.append(pd.DataFrame({"rejected": table["p_value"] <= 0.05, "covered": held}))
    mean = sum(f.astype(float) for f in found) / repetitions
    return mean.set_index(table["metric"]).assign(truth=truth.to_numpy())


def _apart(site: np.ndarray, said: Outcomes) -> list[float]:
    """The three metrics by their definition; fairlearn takes half a minute for so many images."""
    own = [site == name for name in "abcd"]
    rates = np.array([[said.predicted[s & (said.truth == t)].mean() for s in own] for t in (0, 1)])
    chosen = np.array([said.predicted[s].mean() for s in own])
    ratio = (rates.min(axis=1) / rates.max(axis=1)).min()
    return [np.ptp(rates, axis=1).max(), ratio, np.ptp(chosen)]


def delong_rates(repetitions: int, n: int) -> dict[str, float]:
    """Rejections at .05 by DeLong's test of equal areas, groups kept and forgotten.

    An artifact raises the score, so that the scores differ and the areas do not.
    """
    rejected = {"groups kept": 0, "groups forgotten": 0}
    for seed in range(repetitions):
        rng = np.random.default_rng([seed, n, 4])
        group = np.arange(n) // 3
        label, present = rng.integers(0, 2, (2, n))[:, group]
        score = rng.normal(size=n)[group] + 0.3 * rng.normal(size=n) + label + present
        for name, own in zip(rejected, (group, np.arange(n)), strict=True):
            rejected[name] += delong_p(outcomes(label, score), present == 1, own) <= 0.05
    return {name: count / repetitions for name, count in rejected.items()}


# --- trap sets -----------------------------------------------------------------------------------


def trap_sides(
    rng: np.random.Generator, n: int, lean: float, harder: float = 0.0, per_group: int = 1
) -> tuple[Side, Side]:
    """Two test sets of n images: rulers go with the label in the first, against it in the second.

    The score leans on the ruler, and not on the ink; in the second set lesions may be harder.
    """
    sides = []
    for sign in (1, -1):
        group = np.arange(n) // per_group
        label = (rng.random(n) < 0.4).astype(int)[group]
        towards = np.where(label == 1, 1, -1) * sign
        ruler = (rng.random(n)[group] < 0.5 + 0.25 * towards).astype(float)
        ink = (rng.random(n) < 0.4).astype(float)[group]
        skill = 2.0 - (harder if sign < 0 else 0.0)
        score = rng.normal(size=n)[group] + 0.3 * rng.normal(size=n) + skill * (label - 0.5)
        columns = [as_column(ruler, "ruler", "artifact"), as_column(ink, "ink", "artifact")]
        sides.append(Side.of(outcomes(label, score + lean * (ruler - 0.5)), group, columns))
    return sides[0], sides[1]


def with_column(side: Side, place: int, values: np.ndarray) -> Side:
    """Put other values in the place of a feature's."""
    columns = list(side.columns)
    columns[place] = replace(columns[place], values=values)
    return replace(side, columns=tuple(columns))


def trap_coverage(repetitions: int, n: int, lean: float, harder: float) -> pd.DataFrame:
    """Truth, and coverage of the 95 % intervals, of the drop and of what the ruler explains."""
    big = trap_table(*trap_sides(np.random.default_rng(0), 100_000, lean, harder), bootstrap=0)
    some = big["alike_in"].isin(["nothing", "ruler"])
    held = []
    for seed in range(repetitions):
        sides = trap_sides(np.random.default_rng([seed, n, 5]), n, lean, harder, per_group=2)
        found = trap_table(*sides, bootstrap=199, seed=seed)
        held.append(
            [
                (found[f"{what}_low"] <= big[what]) & (big[what] <= found[f"{what}_high"])
                for what in ("drop", "explained")
            ]
        )
    covered = np.mean(held, axis=0)
    named = {"drop covered": covered[0], "explained covered": covered[1]}
    return big[["alike_in", "metric", "drop", "explained"]].assign(**named)[some]


def _report(repetitions: int) -> Iterator[str]:
    yield f"## Groups: four sites, pairs of images alike, n = 600, {repetitions} repetitions\n"
    yield "| shift of one site | metric | truth | p <= .05 | 95 % interval holds the truth |"
    yield "|---" * 5 + "|"
    for shift in (0.0, 0.5, 1.0):
        for metric, row in fairness_rates(repetitions, 600, shift).iterrows():
            numbers = " | ".join(f"{row[c]:.3f}" for c in ("truth", "rejected", "covered"))
            yield f"| {shift} | {metric} | {numbers} |"
    rates = delong_rates(2 * repetitions, 300)
    shown = ", ".join(f"{rate:.3f} with {name}" for name, rate in rates.items())
    yield f"\nDeLong's test of equal areas, 100 groups of three images, rejects at .05: {shown}\n"
    yield f"## Trap sets: 400 images a side, in pairs alike, {repetitions} repetitions\n"
    yield "| leans by | harder by | alike in | metric | drop | held | explained | held |"
    yield "|---" * 8 + "|"
    for lean, harder in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        for _, row in trap_coverage(repetitions, 400, lean, harder).iterrows():
            columns = ("drop", "drop covered", "explained", "explained covered")
            numbers = " | ".join(
                "-"
                if np.isnan(row[c]) or (np.isnan(row["explained"]) and c == "explained covered")
                else f"{row[c]:.3f}"
                for c in columns
            )
            yield f"| {lean} | {harder} | {row['alike_in']} | {row['metric']} | {numbers} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=500)
    for line in _report(parser.parse_args().repetitions):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
