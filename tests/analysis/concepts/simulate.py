"""Level and power of the tests of concepts, on networks set by hand.

`python -m tests.analysis.concepts.simulate` prints the table of docs/feature-usage.md.
"""

from __future__ import annotations

import sys

from tests.analysis.concepts.hand_set import FEATURES, draw, hand_set, question
from xattn.analysis.concepts.table import concept_table

CASES = {
    "straight head": (False, 1.0, False),
    "bent head": (True, 1.0, False),
    "noisier with the feature": (False, 3.0, False),
    "two images to a group": (False, 1.0, True),
}
N = 240


def rates(bent: bool, spread: float, paired: bool, runs: int) -> dict[tuple[str, str], float]:
    """Return how often each feature comes out as encoded and as used, unadjusted p < 0.05."""
    model = hand_set(bent)
    counts = {(name, what): 0 for name in FEATURES for what in ("encoded", "used")}
    for seed in range(runs):
        drawn = draw(N, 1000 + seed, spread=spread, paired=paired)
        table = concept_table(
            drawn.layer(model), drawn.columns, drawn.label, drawn.group,
            question(tuple(model.classes)), permutations=199, bootstrap=1, seed=seed,
        ).set_index("feature")  # fmt: skip
        for name, what in counts:
            counts[name, what] += int(table.loc[name, f"p_{what}"] < 0.05)
    return {key: count / runs for key, count in counts.items()}


if __name__ == "__main__":
    out = sys.stdout
    heads = (f"{name}: encoded, used" for name in FEATURES)
    out.write(f"| network and images | {' | '.join(heads)} |\n")
    out.write("|---|---|---|---|\n")
    for case, chosen in CASES.items():
        found = rates(*chosen, runs=200)
        cells = [f"{found[f, 'encoded']:.2f}, {found[f, 'used']:.2f}" for f in FEATURES]
        out.write(f"| {case} | {' | '.join(cells)} |\n")
        out.flush()
