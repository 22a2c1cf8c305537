"""Level, power and coverage of the analysis by simulation: `python -m tests.analysis.simulate`.

Every number is seeded. The tests run the same functions with fewer repetitions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.stats import binom

from xattn.analysis.alignment.pairs import paired_sums
from xattn.analysis.dependence.decisions import DECISIONS, find_statistic
from xattn.analysis.dependence.information import conditional_information, quantile_bins
from xattn.analysis.dependence.kci import kci_p_values
from xattn.analysis.dependence.sample import UsageSample
from xattn.analysis.dependence.table import usage_table
from xattn.analysis.dependence.usage import usage_test
from xattn.analysis.groups.bias import bias_table
from xattn.analysis.groups.rates import Outcomes
from xattn.stats.adjust import permuted_p, two_sided_p
from xattn.stats.codes import codes, group_codes
from xattn.stats.columns import as_column
from xattn.stats.permutation import within_label_permutations
from xattn.stats.resampling import drawn_weights, group_weights, percentile_interval

TESTS = (*DECISIONS["min-p"].tests, "chi2", *DECISIONS["majority"].tests[1:])
SHOWN = (*TESTS, "min-p", "majority")
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, "np.ndarray | None"]


def band(alpha: float, repetitions: int, checks: int = 1) -> tuple[float, float]:
    """Rates of rejection that `checks` tests of exact level all keep to in 99 of 100 simulations.

    The fraction of misses is divided by the number of checks (Bonferroni).
    """
    tail = 0.005 / checks
    low, high = binom.ppf([tail, 1 - tail], repetitions, alpha) / repetitions
    return float(low), float(high)


# --- usage: the feature tells nothing about the prediction beyond the label ----------------------


def two_labels(rng: np.random.Generator, n: int) -> Drawn:
    """Both feature and score follow the label strongly."""
    label = rng.integers(0, 2, n)
    return rng.normal(size=n) + 2 * label, rng.normal(size=n) + 2 * label, label, None


def eight_labels(rng: np.random.Generator, n: int) -> Drawn:
    """Eight labels of very different size, spread and skew."""
    label = rng.choice(8, n, p=np.array([60, 15, 10, 5, 4, 3, 2, 1]) / 100)
    spread = 2.0 ** (label - 3)
    feature = spread * rng.exponential(size=n) + label
    return feature, spread[::-1] * rng.standard_t(3, n) - label, label, None


def yes_no(rng: np.random.Generator, n: int) -> Drawn:
    """An artifact in 5 % of one label and 40 % of the other."""
    label = rng.integers(0, 2, n)
    feature = rng.random(n) < np.array([0.05, 0.4])[label]
    return feature.astype(float), rng.normal(size=n) + 2 * label, label, None


def names(rng: np.random.Generator, n: int) -> Drawn:
    """A site of four names, whose frequencies follow the label."""
    label = rng.integers(0, 2, n)
    first, second = rng.choice(4, n, p=[0.7, 0.1, 0.1, 0.1]), rng.choice(4, n)
    site = np.array(list("abcd"))[np.where(label == 1, first, second)]
    return site, rng.normal(size=n) + label, label, None


def softmax(rng: np.random.Generator, n: int) -> Drawn:
    """Probabilities of four classes."""
    label = rng.integers(0, 4, n)
    logits = rng.normal(size=(n, 4)) + 2 * np.eye(4)[label]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rng.normal(size=n) + label, p, label, None


def groups(rng: np.random.Generator, n: int) -> Drawn:
    """Lesions of one to three images each, nearly alike in feature, score and often label."""
    size = rng.integers(1, 4, n)
    group = np.repeat(np.arange(n), size)[:n]
    own = rng.integers(0, 2, n)
    label = np.where(rng.random(n) < 0.9, own[group], 1 - own[group])
    feature = rng.normal(size=n)[group] + 0.1 * rng.normal(size=n) + label
    score = rng.normal(size=n)[group] + 0.1 * rng.normal(size=n) + label
    return feature, score, label, group


def several(rng: np.random.Generator, n: int) -> Drawn:
    """A feature of three numbers that go together, and probabilities of three classes."""
    label = (rng.random(n) < 0.2).astype(int)
    common = rng.standard_t(3, (n, 1))
    logits = rng.normal(size=(n, 3)) * (1 + label[:, None]) + label[:, None]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return common + 0.5 * rng.normal(size=(n, 3)) + label[:, None], p, label, None


NULLS = (two_labels, eight_labels, yes_no, names, softmax, several, groups)


# --- usage: the feature moves the prediction -----------------------------------------------------


def linear(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises a little with the feature."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    return x, rng.normal(size=n) + 0.15 * x + label, label, None


def quadratic(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises towards both ends of the feature."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    return x, rng.normal(size=n) + 0.2 * x**2 + label, label, None


def sign_flip(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises with the feature in one label and falls in the other."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    return x, rng.normal(size=n) + 0.25 * x * np.where(label == 1, 1, -1), label, None


def minority(rng: np.random.Generator, n: int) -> Drawn:
    """Only a label of one image in six shows the effect."""
    label, x = (rng.random(n) < 1 / 6).astype(int), rng.normal(size=n)
    return x, rng.normal(size=n) + 0.5 * x * label, label, None


def patch(rng: np.random.Generator, n: int) -> Drawn:
    """A yes/no artifact of one image in ten moves the score."""
    label = rng.integers(0, 2, n)
    x = (rng.random(n) < 0.1).astype(float)
    return x, rng.normal(size=n) + 0.5 * x + label, label, None


EFFECTS = (linear, quadratic, sign_flip, minority, patch)


def usage_rates(
    scenario: Callable[[np.random.Generator, int], Drawn],
    repetitions: int,
    n: int,
    alphas: tuple[float, ...] = (0.05, 0.01),
    *,
    forget_groups: bool = False,
) -> pd.DataFrame:
    """Fraction of repetitions in which each test rejects: rows are tests, columns are levels."""
    p: dict[str, list[float]] = {name: [] for name in SHOWN}
    for seed in range(repetitions):
        feature, score, label, group = scenario(np.random.default_rng([seed, n]), n)
        number = group_codes(None if forget_groups else group, n)
        scores = score.reshape(n, -1)
        sample = UsageSample.of(np.arange(n), scores, *codes(label), number, 199, seed)
        values = sample.permuted([find_statistic(t) for t in TESTS], [as_column(feature)])[:, 0]
        for i, name in enumerate(TESTS):
            p[name].append(permuted_p(values[:, i])[0])
        for name, decision in DECISIONS.items():
            own = values[:, [TESTS.index(t) for t in decision.tests]]
            p[name].append(decision.combine(own)[0])
    return pd.DataFrame(
        {alpha: {name: np.mean(np.array(v) <= alpha) for name, v in p.items()} for alpha in alphas}
    )


def kci_power(scenario: Callable[..., Drawn], repetitions: int, n: int) -> float:
    """Fraction of repetitions in which causal-learn's KCI rejects at .05."""
    rejected = 0
    for seed in range(repetitions):
        feature, score, label, _ = scenario(np.random.default_rng([seed, n]), n)
        rejected += kci_p_values([as_column(feature)], score, label, images=n, seed=seed)[0] <= 0.05
    return rejected / repetitions


def family_rates(repetitions: int, n: int, together: float) -> dict[str, float]:
    """Chance of a single false finding among ten unused features at .05, for each adjustment.

    The features fraction a part `together` of their variance, as area, count and presence do.
    """
    false = {"p_value": 0, "p_adjusted": 0, "p_holm": 0}
    for seed in range(repetitions):
        rng = np.random.default_rng([seed, n, 7])
        label = rng.integers(0, 2, n)
        common = np.sqrt(together) * rng.normal(size=(n, 1))
        features = pd.DataFrame(common + np.sqrt(1 - together) * rng.normal(size=(n, 10)))
        table = usage_table(
            features.add_prefix("f"),
            rng.normal(size=n) + label,
            label,
            tests=("rank", "dcor"),
            permutations=1,
            bootstrap=0,
            seed=seed,
        )
        for name in false:
            false[name] += bool((table[name] <= 0.05).any())
    return {name: count / repetitions for name, count in false.items()}


def early_stopping(repetitions: int, n: int) -> dict[str, float]:
    """Rejections at .05 under the null with all permutations, and with early stopping."""
    p = []
    for seed in range(repetitions):
        seen = two_labels(np.random.default_rng([seed, n]), n)
        drawing = {"tests": ("rank",), "permutations": 399, "bootstrap": 0, "seed": seed}
        every = usage_test(*seen, **drawing)
        p.append((every.p_value, usage_test(*seen, early_stopping=10, **drawing).p_value))
    all_of_them, early = (np.array(p) <= 0.05).mean(axis=0)
    return {"all": all_of_them, "early": early}


# --- usage: bits ---------------------------------------------------------------------------------


def bits_coverage(repetitions: int, n: int, shift: float) -> dict[str, float]:
    """Truth, mean estimate with its standard error, and coverage of the 95 % interval of bits.

    Images come in pairs of one lesion, alike in the artifact and half alike in the score; the
    artifact shifts the score by `shift` standard deviations. The truth is the plug-in of 400,000
    images cut into the same five bins.
    """

    def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
        group = np.arange(n) // 2
        label = np.sort(rng.integers(0, 2, n // 2))[group]
        feature = rng.integers(0, 2, n)[group]
        score = (rng.normal(size=n)[group] + rng.normal(size=n)) / np.sqrt(2) + shift * feature
        return feature, quantile_bins(score, label), label, group

    feature, bins, label, _ = sample(np.random.default_rng(0), 400_000)
    truth = _plug_in(feature, bins, label)
    estimates, held = [], 0
    for seed in range(repetitions):
        feature, bins, label, group = sample(np.random.default_rng([seed, n]), n)
        drawn = within_label_permutations(label, group, 99, seed)
        order = np.flatnonzero(drawn.kept)
        weights = drawn_weights(group[order], len(order), 299, seed)
        found = conditional_information(
            [feature[order]], bins[order], label[order], drawn.of_kept()[1:], weights
        )
        estimates.append(found.bits[0])
        held += bool(found.low[0] <= truth <= found.high[0])
    error = float(np.std(estimates) / np.sqrt(repetitions))
    return {
        "truth": truth,
        "mean": float(np.mean(estimates)),
        "standard error": error,
        "covered": held / repetitions,
    }


def _plug_in(feature: np.ndarray, bins: np.ndarray, label: np.ndarray) -> float:
    """Conditional mutual information in bits of the counts."""
    counts = np.zeros((2, 2, bins.max() + 1))
    np.add.at(counts, (label, feature, bins), 1)
    p = counts / counts.sum(axis=(1, 2), keepdims=True)
    expected = p.sum(axis=1, keepdims=True) * p.sum(axis=2, keepdims=True)
    return float((counts / counts.sum() * np.log2(p / expected)).sum())


# --- alignment -----------------------------------------------------------------------------------


def centred(rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    """Bumps (n, 49) on a 7 x 7 grid, whose middles lie about the centre of the grid."""
    cells = np.arange(7) - 3
    middle = rng.normal(0, spread, (n, 2))
    squares = (cells[:, None] - middle[:, 0, None, None]) ** 2
    squares = squares + (cells - middle[:, 1, None, None]) ** 2
    return np.exp(-0.5 * squares / 1.5**2).reshape(n, 49)


def aligned_sample(
    rng: np.random.Generator, n: int, knows: float, grouped: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Maps as fractions, masks, labels, groups; a map knows its own mask with weight `knows`.

    Both are centred, more so in one label: the centre bias alone gives a lift of about 2.
    """
    label = rng.integers(0, 2, n)
    group = np.arange(n) // 2 if grouped else np.arange(n)
    spread = np.where(label == 1, 0.6, 1.2)[:, None]
    offset = group if grouped else np.arange(n)
    seeds = rng.integers(0, 2**31, 2)

    def bumps(seed: int) -> np.ndarray:
        wide = centred(np.random.default_rng(seed), n, 1.2)[offset]
        narrow = centred(np.random.default_rng(seed + 1), n, 0.6)[offset]
        return np.where(spread > 1, wide, narrow)

    mask = (bumps(seeds[0]) > 0.5).astype(float)
    maps = (1 - knows) * bumps(seeds[1]) + knows * mask + 0.1 * rng.random((n, 49))
    return maps / maps.sum(axis=1, keepdims=True), mask, label, group


def alignment_rates(
    repetitions: int, n: int, knows: float, *, grouped: bool = False, alpha: float = 0.05
) -> dict[str, float]:
    """Fraction of repetitions in which alignment is claimed: by permutation, and by lift > 1."""
    exact, naive, lifts = [], [], []
    for seed in range(repetitions):
        fraction, mask, label, group = aligned_sample(
            np.random.default_rng([seed, n]), n, knows, grouped
        )
        drawn = within_label_permutations(label, group, 199, seed)
        kept = drawn.kept
        sums = paired_sums(fraction[kept], mask[kept], drawn.of_kept(), label[kept], 2)
        exact.append(two_sided_p(sums)[-1])
        own = np.stack([(fraction * mask).sum(axis=1), mask.mean(axis=1)])
        weighted = group_weights(group, n, 199, seed) @ own.T
        low, _ = percentile_interval(weighted[:, 0] / weighted[:, 1])
        naive.append(low > 1)
        lifts.append(own[0].sum() / own[1].sum())
    return {
        "lift": float(np.mean(lifts)),
        "permutation": float(np.mean(np.array(exact) <= alpha)),
        "interval above 1": float(np.mean(naive)),
    }


def lift_coverage(repetitions: int, n: int) -> float:
    """Fraction of repetitions whose 95 % interval of lift holds the value of a huge sample."""
    fraction, mask, _, _ = aligned_sample(np.random.default_rng(0), 50_000, 0.2)
    truth = (fraction * mask).sum() / mask.mean(axis=1).sum()
    held = 0
    for seed in range(repetitions):
        fraction, mask, _, group = aligned_sample(np.random.default_rng([seed, n, 1]), n, 0.2, True)
        own = np.stack([(fraction * mask).sum(axis=1), mask.mean(axis=1)])
        weighted = group_weights(group, n, 499, seed) @ own.T
        low, high = percentile_interval(weighted[:, 0] / weighted[:, 1])
        held += low <= truth <= high
    return held / repetitions


# --- bias ----------------------------------------------------------------------------------------


def bias_rates(repetitions: int, n: int, shift: float) -> pd.DataFrame:
    """Rejections at .05 and coverage of the gap's interval, for an artifact that shifts scores.

    Artifact and label are dependent, lesions of two images are nearly alike.
    """

    def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, Outcomes, np.ndarray]:
        group = np.arange(n) // 2
        label = rng.integers(0, 2, n)[group]
        present = (rng.random(n) < np.array([0.3, 0.6])[label[::2].repeat(2)[:n]])[group]
        score = rng.normal(size=n)[group] + 0.3 * rng.normal(size=n) + 2 * label - 1
        score = score + shift * present
        names = ["benign", "malignant"]
        said = Outcomes(label, (score > 0).astype(int), np.stack([-score, score], 1), names, 1)
        return present.astype(np.float64), said, group

    present, said, group = sample(np.random.default_rng(0), 400_000)
    sides = np.stack([present, 1 - present]).astype(np.float32)
    values = said.weighted(sides)
    truth = values[0] - values[1]
    found = []
    for seed in range(repetitions):
        present, said, group = sample(np.random.default_rng([seed, n]), n)
        column = [as_column(present, "artifact", "artifact")]
        table = bias_table(column, said, group, permutations=199, bootstrap=199, seed=seed)
        held = (table["gap_low"] <= truth) & (truth <= table["gap_high"])
        found.append(pd.DataFrame({"rejected": table["p_value"] <= 0.05, "covered": held}))
    mean = sum(f.astype(float) for f in found) / repetitions
    return mean.set_index(pd.Index(said.metrics(), name="metric"))


def _report(repetitions: int) -> Iterator[str]:
    low, high = band(0.05, repetitions)
    low1, high1 = band(0.01, repetitions)
    yield f"## Usage: level, n = 200, {repetitions} repetitions"
    yield f"99 % bands: .05 [{low:.3f}, {high:.3f}], .01 [{low1:.3f}, {high1:.3f}]\n"
    yield "| null | " + " | ".join(SHOWN) + " |"
    yield "|---" * (len(SHOWN) + 1) + "|"
    for scenario in NULLS:
        yield _line(scenario.__name__, usage_rates(scenario, repetitions, 200))
    wrong = usage_rates(groups, repetitions, 200, forget_groups=True)
    yield _line("groups, forgotten", wrong)
    yield f"\n## Usage: power at .05, n = 500, {repetitions // 2} repetitions\n"
    yield "| effect | " + " | ".join((*SHOWN, "KCI")) + " |"
    yield "|---" * (len(SHOWN) + 2) + "|"
    for scenario in EFFECTS:
        rates = usage_rates(scenario, repetitions // 2, 500)[0.05]
        kci = kci_power(scenario, repetitions // 5, 500)
        yield f"| {scenario.__name__} | " + " | ".join(f"{r:.2f}" for r in (*rates, kci)) + " |"
    yield "\n## Usage: one false finding or more among ten unused features, n = 200\n"
    yield "| variance in common | unadjusted | Westfall-Young | Holm |"
    yield "|---" * 4 + "|"
    for together in (0.0, 0.9):
        family = family_rates(repetitions, 200, together)
        yield f"| {together} | " + " | ".join(f"{r:.3f}" for r in family.values()) + " |"
    stopped = early_stopping(repetitions, 200)
    yield (
        f"\n`rank` rejects {stopped['all']:.3f} at .05 with 399 permutations, "
        f"{stopped['early']:.3f} with early stopping after 10 exceedances.\n"
    )
    yield "\n## Usage: bits, 600 pairs of images\n"
    yield "| shift | truth | mean estimate | 95 % interval holds the truth |"
    yield "|---|---|---|---|"
    for shift in (0.0, 0.3, 1.0):
        bits = bits_coverage(repetitions // 2, 1200, shift)
        mean = f"{bits['mean']:.4f} (s.e. {bits['standard error']:.4f})"
        yield f"| {shift} | {bits['truth']:.4f} | {mean} | {bits['covered']:.3f} |"
    yield "\n## Alignment: fraction of repetitions in which alignment is claimed, n = 60\n"
    yield "| map | lift | permutation p <= .05 | interval of lift above 1 |"
    yield "|---|---|---|---|"
    for name, knows, grouped in (
        ("blind, centred", 0.0, False),
        ("blind, centred, pairs of images alike", 0.0, True),
        ("knows 5 %", 0.05, False),
        ("knows 10 %", 0.1, False),
        ("knows 20 %", 0.2, False),
    ):
        rates = alignment_rates(repetitions, 60, knows, grouped=grouped)
        yield f"| {name} | " + " | ".join(f"{r:.3f}" for r in rates.values()) + " |"
    covered = lift_coverage(repetitions, 120)
    yield f"\nThe 95 % interval of lift holds the truth in {covered:.3f} (60 pairs of images).\n"
    yield "## Bias: artifact tied to the label, pairs of images alike, n = 400\n"
    yield "| shift | metric | p <= .05 | 95 % interval holds the truth |"
    yield "|---|---|---|---|"
    for shift in (0.0, 0.5):
        rows = bias_rates(repetitions // 2, 400, shift)
        for metric, row in rows.iterrows():
            yield f"| {shift} | {metric} | {row['rejected']:.3f} | {row['covered']:.3f} |"


def _line(name: str, rates: pd.DataFrame) -> str:
    cells = [f"{row[0.05]:.3f} / {row[0.01]:.3f}" for _, row in rates.iterrows()]
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    for line in _report(parser.parse_args().repetitions):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
