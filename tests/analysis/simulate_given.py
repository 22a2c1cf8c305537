"""Level and power given other features: `python -m tests.analysis.simulate_given`.

Every number is seeded. The tests run the same functions with fewer repetitions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.analysis.simulate import band
from xattn.analysis.dependence.given.table import given_one
from xattn.stats.columns import as_column

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, "np.ndarray | None", pd.DataFrame]
"""Feature, scores, label, group and what is held fixed."""

N = 500


def covariates(rng: np.random.Generator, label: np.ndarray, count: int = 6) -> pd.DataFrame:
    return pd.DataFrame({f"c{i}": rng.normal(size=len(label)) + 0.3 * label for i in range(count)})


def artifact(rng: np.random.Generator, label: np.ndarray) -> np.ndarray:
    """A yes/no artifact, more frequent among the malignant."""
    return (rng.random(len(label)) < np.where(label == 1, 0.4, 0.2)).astype(float)


def correlate(rng: np.random.Generator, shown: np.ndarray, agreement: float) -> np.ndarray:
    """Another artifact, the same in a fraction of the images and drawn anew in the others."""
    anew = (rng.random(len(shown)) < 0.3).astype(float)
    return np.where(rng.random(len(shown)) < agreement, shown, anew)


# --- the feature tells nothing beyond the label and what is held fixed ---------------------------


def binary(rng: np.random.Generator, n: int) -> Drawn:
    """An artifact that goes along with one that is used."""
    label = rng.integers(0, 2, n)
    used, c = artifact(rng, label), covariates(rng, label)
    score = 1.5 * label + used + 0.3 * c["c0"] + 0.2 * c["c3"] + rng.normal(size=n)
    return correlate(rng, used, 0.6), score.to_numpy(), label, None, c.assign(used=used)


def strong(rng: np.random.Generator, n: int) -> Drawn:
    """The same, alike in more than nine of ten images."""
    label = rng.integers(0, 2, n)
    used, c = artifact(rng, label), covariates(rng, label)
    score = 1.5 * label + used + 0.3 * c["c0"] + rng.normal(size=n)
    return correlate(rng, used, 0.9), score.to_numpy(), label, None, c.assign(used=used)


def continuous(rng: np.random.Generator, n: int) -> Drawn:
    """A number that follows another in a curve, as the score does."""
    label = rng.integers(0, 2, n)
    c = covariates(rng, label)
    curve = np.sin(1.5 * c["c0"]) + 0.5 * c["c1"]
    score = label + curve + 0.5 * c["c2"] + rng.normal(size=n)
    return (curve + rng.normal(size=n)).to_numpy(), score.to_numpy(), label, None, c


def nominal(rng: np.random.Generator, n: int) -> Drawn:
    """A site of four names, whose frequencies follow the age, which is used."""
    label = rng.integers(0, 2, n)
    c = covariates(rng, label, 4)
    logits = c["c0"].to_numpy()[:, None] * np.array([1.0, 0.3, -0.3, -1.0])
    site = np.argmax(logits + rng.gumbel(size=(n, 4)), axis=1)
    score = label + 0.7 * c["c0"] + rng.normal(size=n)
    return np.array(list("abcd"))[site], score.to_numpy(), label, None, c


def grouped(rng: np.random.Generator, n: int) -> Drawn:
    """Lesions of one to three images each, nearly alike in everything."""
    size = rng.integers(1, 4, n)
    group = np.repeat(np.arange(n), size)[:n]
    label = rng.integers(0, 2, n)[group]
    c = pd.DataFrame(
        {f"c{i}": rng.normal(size=n)[group] + 0.2 * rng.normal(size=n) for i in range(4)}
    )
    feature = 0.7 * c["c0"] + rng.normal(size=n)[group] + 0.2 * rng.normal(size=n)
    score = label + 0.7 * c["c0"] + rng.normal(size=n)[group] + 0.2 * rng.normal(size=n)
    return feature.to_numpy(), score.to_numpy(), label, group, c


def heteroscedastic(rng: np.random.Generator, n: int) -> Drawn:
    """Feature and score spread alike, the wider the larger a covariate."""
    label = rng.integers(0, 2, n)
    c = covariates(rng, label, 4)
    wide = np.exp(0.5 * c["c1"])
    feature = c["c0"] + wide * rng.normal(size=n)
    return (
        feature.to_numpy(),
        (label + c["c0"] + wide * rng.normal(size=n)).to_numpy(),
        label,
        None,
        c,
    )


def _classes(rng: np.random.Generator, n: int, classes: int) -> Drawn:
    label = rng.choice(classes, n, p=np.arange(classes, 0, -1) / (classes * (classes + 1) / 2))
    c = pd.DataFrame({f"c{i}": rng.normal(size=n) + 0.3 * (label == i) for i in range(4)})
    slopes = rng.normal(size=(4, classes))
    logits = (
        2 * np.eye(classes)[label] + 0.5 * c.to_numpy() @ slopes + rng.normal(size=(n, classes))
    )
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return (c["c0"] + rng.normal(size=n)).to_numpy(), p, label, None, c


def three_classes(rng: np.random.Generator, n: int) -> Drawn:
    """Probabilities of three classes."""
    return _classes(rng, n, 3)


def eight_classes(rng: np.random.Generator, n: int) -> Drawn:
    """Probabilities of eight classes, from frequent to rare."""
    return _classes(rng, n, 8)


def gaps(rng: np.random.Generator, n: int) -> Drawn:
    """What is used is not known in a third of the images, most often where it is large."""
    label = rng.integers(0, 2, n)
    c = covariates(rng, label, 4)
    missing = rng.random(n) < 1 / (1 + np.exp(1 - c["c1"]))
    score = label + 0.5 * c["c1"] + 0.7 * missing + rng.normal(size=n)
    feature = missing.astype(float) + rng.normal(size=n)
    return feature, score.to_numpy(), label, None, c.assign(gap=np.where(missing, np.nan, c["c3"]))


NULLS = (
    binary, strong, continuous, nominal, grouped, heteroscedastic, three_classes, eight_classes,
    gaps,
)  # fmt: skip


# --- the feature moves the score ------------------------------------------------------------------


def used_artifact(rng: np.random.Generator, n: int) -> Drawn:
    """The artifact that is used, given one that goes along with it in more than nine of ten."""
    label = rng.integers(0, 2, n)
    used, c = artifact(rng, label), covariates(rng, label, 4)
    score = 1.5 * label + used + 0.3 * c["c0"] + rng.normal(size=n)
    return used, score.to_numpy(), label, None, c.assign(b=correlate(rng, used, 0.9))


def line(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises a little with the feature."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    c = covariates(rng, label, 4)
    x = x + 0.7 * c["c0"]
    return (
        x.to_numpy(),
        (label + 0.15 * x + 0.5 * c["c0"] + rng.normal(size=n)).to_numpy(),
        label,
        None,
        c,
    )


def curve(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises towards both ends of the feature."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    c = covariates(rng, label, 4)
    return x, (label + 0.2 * x**2 + 0.5 * c["c0"] + rng.normal(size=n)).to_numpy(), label, None, c


def turned(rng: np.random.Generator, n: int) -> Drawn:
    """The score rises with the feature in one label and falls in the other."""
    label, x = rng.integers(0, 2, n), rng.normal(size=n)
    c = covariates(rng, label, 4)
    score = label + 0.25 * x * np.where(label == 1, 1, -1) + 0.5 * c["c0"] + rng.normal(size=n)
    return x, score.to_numpy(), label, None, c


EFFECTS = (used_artifact, line, curve, turned)


def rates(
    scenario: Callable[[np.random.Generator, int], Drawn],
    repetitions: int,
    n: int = N,
    learner: str = "ridge",
    alphas: tuple[float, ...] = (0.05, 0.01),
) -> dict[float, float]:
    """Fraction of repetitions in which the test given other features rejects, at each level."""
    p = []
    for seed in range(repetitions):
        feature, score, label, group, held = scenario(np.random.default_rng([seed, n, 8]), n)
        columns = [as_column(held[name], str(name)) for name in held]
        found = given_one(
            as_column(feature), columns, score.reshape(n, -1)[:, :7], label, group,
            permutations=199, bootstrap=0, seed=seed, learner=learner,
        )  # fmt: skip
        p.append(found["p_given"])
    return {alpha: float((np.array(p) <= alpha).mean()) for alpha in alphas}


def kci_power(scenario: Callable[..., Drawn], repetitions: int, n: int = N) -> float:
    """Fraction of repetitions in which causal-learn's KCI rejects at .05, with the same held fixed.

    Its Z are the label and the covariates, standardised; of the score and the feature the first.
    """
    from causallearn.utils.cit import CIT

    rejected = 0
    for seed in range(repetitions):
        feature, score, label, _, held = scenario(np.random.default_rng([seed, n, 8]), n)
        data = np.column_stack([feature, score.reshape(n, -1)[:, 0], label, held.to_numpy()])
        test = CIT((data - data.mean(axis=0)) / data.std(axis=0), "kci")
        rejected += test(0, 1, list(range(2, data.shape[1]))) <= 0.05
    return rejected / repetitions


def main() -> None:
    """Print the tables of docs/feature-usage.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("level", "power"), nargs="+")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--learner", default="ridge")
    asked = parser.parse_args()
    say = sys.stdout.write
    if "level" in asked.what:
        bands = [band(alpha, asked.repetitions, 2 * len(NULLS)) for alpha in (0.05, 0.01)]
        say(f"99 % band at .05 {bands[0]}, at .01 {bands[1]}\n")
        for scenario in NULLS:
            say(f"{scenario.__name__} {rates(scenario, asked.repetitions, N, asked.learner)}\n")
            sys.stdout.flush()
    if "power" in asked.what:
        for scenario in EFFECTS:
            own = rates(scenario, asked.repetitions, N, asked.learner)[0.05]
            theirs = kci_power(scenario, min(asked.repetitions, 100))
            say(f"{scenario.__name__} ours {own:.3f} kci {theirs:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
