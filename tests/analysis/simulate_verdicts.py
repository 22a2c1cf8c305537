"""How often verdicts are right where the truth is known.

A score is made of a label, an artifact, a number and noise; nothing else is in it. Edits are made
by the same rule: what an edit does to the features does to the score what the coefficients say,
and every edit and every control leaves a trace of its own. So it is known of every feature whether
the score depends on it, and what each verdict should have been.

    python -m tests.analysis.simulate_verdicts --repetitions 100 --write   # the docs and the report

With `--write` the rates go into xattn/figures/known_answers.json, which the report reads, and into
the table of docs/feature-usage.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from tests.analysis.simulate_given import artifact, correlate, covariates
from xattn.analysis.dependence.table import usage_table
from xattn.analysis.interventions.doses.response import slopes
from xattn.analysis.interventions.outcome import Scores
from xattn.analysis.verdicts.table import verdict_table
from xattn.runs.tables.verdicts import VERDICTS
from xattn.stats.adjust import holm
from xattn.stats.columns import as_column
from xattn.stats.paired import exact_mcnemar_p
from xattn.stats.resampling import mean_interval
from xattn.stats.sign_flip import sampled_sign_flip_p

ROOT = Path(__file__).parents[2]
RATES = ROOT / "xattn" / "figures" / "known_answers.json"
PAGE = ROOT / "docs" / "feature-usage.md"
BEGIN, END = "<!-- known answers: begin -->", "<!-- known answers: end -->"

SIZES, AGREEMENTS = (500, 2000), (0.3, 0.6, 0.9)
EVIDENCE = ("no edits", "edits", "detectors' masks")
USED, CORRELATE = "ruler", "patches"
"""Names of the artifact that is used and of its correlate; detectors' masks are known by them."""
KINDS = {
    USED: "used artifact",
    CORRELATE: "correlate",
    "c0": "used number",
    "c1": "unused number",
    "c2": "unused, edit drags",
    "c3": "unused, no edit",
}
"""What each feature of the simulation is called in the table."""

_OF_ARTIFACT, _OF_NUMBER = 1.0, 0.4
_CUT = 1.2
"""Decision: score above this."""
_TRACE = 0.5
"""Standard deviation of what an edit, or a control, of full size does besides."""
_EDITED, _DOSED = 100, 50
_DOSES = np.array([-0.8, -0.4, 0.4, 0.8])
"""In standard deviations of the number."""
_DRAGGED = 0.7
"""Of the used number, by one of the unused one."""
_HELD = {USED: (0.3, 0.9), CORRELATE: (1.0, 1.0)}
"""Fractions of an artifact that its detector's masks hold, least and most."""
_WRONG = 0.1
"""Of images that are flagged, those without the artifact."""


def _rng(seed: int, n: int, agreement: float) -> np.random.Generator:
    """Draw every case apart: rates of several may then be added up."""
    return np.random.default_rng([seed, n, round(100 * agreement), 9])


def drawn(rng: np.random.Generator, n: int, agreement: float) -> tuple[pd.DataFrame, Any, Any]:
    """Return features (n rows), scores and labels."""
    label = rng.integers(0, 2, n)
    used, numbers = artifact(rng, label), covariates(rng, label, 4)
    score = 1.5 * label + _OF_ARTIFACT * used + _OF_NUMBER * numbers["c0"] + rng.normal(size=n)
    other = correlate(rng, used, agreement)
    return numbers.assign(**{USED: used, CORRELATE: other}), score.to_numpy(), label


def usage_of(features: pd.DataFrame, score: Any, label: Any, seed: int) -> pd.DataFrame:
    """Return feature_usage.csv."""
    columns = [as_column(features[name], str(name)) for name in features]
    kinds = {USED: "artifact", CORRELATE: "artifact"}
    return usage_table(
        columns, score, label, given="others", learner="ridge", tests=("rank", "dcor"),
        permutations=499, bootstrap=199, seed=seed,
    ).assign(kind=lambda t: t["feature"].map(kinds).fillna(t["kind"]))  # fmt: skip


class Edits:
    """Tables of edits, made by the rule that made the scores."""

    def __init__(
        self, features: pd.DataFrame, score: Any, label: Any, rng: np.random.Generator, seed: int
    ) -> None:
        self.features, self.score, self.rng, self.seed = features, score, rng, seed
        self.spread = float(np.std(score - pd.Series(score).groupby(label).transform("mean")))

    def single(self, detected: bool) -> pd.DataFrame:
        """Return interventions.csv: both artifacts taken away, and with masks put in as well."""
        rows = []
        for name in (USED, CORRELATE):
            for edit in ("inpaint",) if detected else ("inpaint", "insert"):
                rows.append(self._row(name, edit, detected))
        table = pd.DataFrame(rows)
        return table.assign(p_adjusted=holm(table["p_value"]))

    def _row(self, name: str, edit: str, detected: bool) -> dict[str, Any]:
        shown = self.features[name].to_numpy() > 0
        able = np.flatnonzero(shown if edit == "inpaint" else ~shown)
        chosen = self.rng.permutation(able)[:_EDITED]
        effect = self._effect(name, len(chosen), detected) * (-1 if edit == "inpaint" else 1)
        before = self.score[chosen]
        after = before + effect + _TRACE * self.rng.normal(size=len(chosen))
        control = before + _TRACE * self.rng.normal(size=len(chosen))
        scores = Scores(
            before, after, control, before, (before > _CUT) != (after > _CUT),
            (before > _CUT) != (control > _CUT), np.zeros(len(chosen), dtype=bool), chosen,
        )  # fmt: skip
        numbers = scores.to_row(permutations=999, bootstrap=199, seed=self.seed)
        gone = {"masks": "detected", "value_before": 0.9, "value_after": 0.1,
                "control_value_change": 0.0}  # fmt: skip
        return {
            "feature": name, "kind": "artifact", "intervention": edit, **numbers,
            "score_sd": self.spread, **(gone if detected else {"masks": "annotated"}),
        }  # fmt: skip

    def _effect(self, name: str, n: int, detected: bool) -> Any:
        """Return what comes with the whole artifact, or with the part that the detector holds."""
        whole = np.full(n, _OF_ARTIFACT if name == USED else 0.0)
        if not detected:
            return whole
        return whole * self.rng.uniform(*_HELD[name], n) * (self.rng.random(n) >= _WRONG)

    def graded(self, detected: bool) -> pd.DataFrame:
        """Return doses.csv: opacity of both artifacts, and three numbers changed by degrees."""
        rows = []
        for name in (USED, CORRELATE):
            shown = np.flatnonzero(self.features[name] > 0)
            chosen = self.rng.permutation(shown)[:_DOSED]
            effect = self._effect(name, len(chosen), detected)
            facts = {"kind": "artifact", "masks": "detected" if detected else "annotated",
                     "value_before": 0.9, "value_after": 0.1,
                     "control_value_change": 0.0}  # fmt: skip
            doses = np.array([-1.0, -0.75, -0.5, -0.25])
            rows += self._doses(name, "opacity", doses, chosen, effect, facts)
        for name, slope in (("c0", _OF_NUMBER), ("c1", 0.0), ("c2", _DRAGGED * _OF_NUMBER)):
            chosen = self.rng.permutation(len(self.score))[:_DOSED]
            facts = {
                "kind": "computed",
                "masks": "annotated",
                "value_before": 0.0,
                "control_value_change": 0.0,
                "value_sd": self.features[name].std(),
            }
            effect = np.full(len(chosen), slope)
            rows += self._doses(name, f"grade-{name}", _DOSES, chosen, effect, facts)
        table = pd.DataFrame(rows)
        first = ~table.duplicated(["feature", "intervention"])
        adjusted = pd.Series(holm(table.loc[first, "p_value"]), index=table.index[first])
        return table.assign(p_adjusted=adjusted.reindex(table.index).ffill())

    def _doses(
        self, name: str, edit: str, doses: Any, chosen: Any, effect: Any, facts: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        traces = _TRACE * np.abs(doses) * self.rng.normal(size=(2, len(chosen), len(doses)))
        before = self.score[chosen]
        change, control = effect[:, None] * doses + traces[0], traces[1]
        own, each = slopes(change - control, doses), np.arange(len(chosen))
        low, high = mean_interval(own, each, 199, self.seed)
        p_value = sampled_sign_flip_p(own, each, 999, self.seed)
        for j, dose in enumerate(doses):
            flipped, beside = (
                (before > _CUT) != (before + moved[:, j] > _CUT) for moved in (change, control)
            )
            after = {} if facts["kind"] == "artifact" else {"value_after": dose}
            drags = f"c0 {_DRAGGED * dose:+.2f} SD" if name == "c2" else "none"
            yield {
                "feature": name, "intervention": edit, "dose": dose, "slope": own.mean(),
                "slope_low": low, "slope_high": high, "p_value": p_value,
                "score_sd": self.spread, "flip_rate": flipped.mean(),
                "control_flip_rate": beside.mean(), "others": drags,
                "p_mcnemar": exact_mcnemar_p(flipped, beside), **facts, **after,
            }  # fmt: skip


def verdicts(seed: int, n: int, agreement: float) -> dict[str, pd.Series[Any]]:
    """Return the verdict of each feature of one sample, by the evidence that there was."""
    rng = _rng(seed, n, agreement)
    features, score, label = drawn(rng, n, agreement)
    usage, nothing = usage_of(features, score, label, seed), pd.DataFrame()
    made = Edits(features, score, label, rng, seed)
    tables = {"no edits": (nothing, nothing)}
    for evidence, detected in (("edits", False), ("detectors' masks", True)):
        tables[evidence] = made.single(detected), made.graded(detected)
    return {
        evidence: verdict_table(usage, edited, nothing, dosed).set_index("feature")["verdict"]
        for evidence, (edited, dosed) in tables.items()
    }


def counted(n: int, agreement: float, repetitions: int) -> list[dict[str, Any]]:
    """Count verdicts: a row for each evidence and feature."""
    times: dict[tuple[str, str], dict[str, int]] = {}
    for seed in range(repetitions):
        for evidence, found in verdicts(seed, n, agreement).items():
            for name in KINDS:
                own = times.setdefault((evidence, name), dict.fromkeys(VERDICTS, 0))
                own[str(found[name])] += 1
    return [
        {"images": n, "agreement": agreement, "evidence": evidence, "feature": KINDS[name],
         "repetitions": repetitions, "verdicts": {v: k for v, k in own.items() if k}}
        for (evidence, name), own in times.items()
    ]  # fmt: skip


def most_that_can_be_found(
    agreement: float, n: int, tests: int, repetitions: int
) -> tuple[float, float]:
    """Return how often tests find the used artifact that know all but its own coefficient.

    They are given the true expectations of score and artifact given label, correlate and numbers,
    which others have to estimate. The first knows the variance of the noise, too, so that what is
    left is a normal sum. The second flips signs, as `p_given` does: it holds whatever the spread
    of the noise goes along with. Both at the level of `tests` tests (Bonferroni).
    """
    known_spread, flipped = 0, 0
    for seed in range(repetitions):
        features, score, label = drawn(_rng(seed, n, agreement), n, agreement)
        used, other = features[USED].to_numpy(), features[CORRELATE].to_numpy()
        often = np.where(label == 1, 0.4, 0.2)
        alike, anew = agreement, (1 - agreement) * np.where(other > 0, 0.3, 0.7)
        shown = often * (alike * (other > 0) + anew)
        likely = shown / (shown + (1 - often) * (alike * (other == 0) + anew))
        left = used - likely
        known = 1.5 * label + _OF_ARTIFACT * likely + _OF_NUMBER * features["c0"].to_numpy()
        products = left * (score - known)
        z = products.sum() / np.sqrt(np.square(left).sum())
        known_spread += abs(z) > norm.isf(0.05 / tests / 2)
        flipped += sampled_sign_flip_p(products, np.arange(n), 1999, seed) <= 0.05 / tests
    return known_spread / repetitions, flipped / repetitions


SHORT = {
    "used": VERDICTS[:3], "used beyond": VERDICTS[3:5], "comes with another": VERDICTS[5:6],
    "not told apart": VERDICTS[6:7], "not used": VERDICTS[7:8], "not testable": VERDICTS[8:],
}  # fmt: skip
"""Columns of the table in the docs, and the verdicts that each counts."""


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table for the docs: fractions of repetitions."""
    lines = [
        f"| images, agreement | evidence | feature | {' | '.join(SHORT)} |",
        f"|---|---|---|{'---|' * len(SHORT)}",
    ]
    for row in rows:
        times = [sum(row["verdicts"].get(v, 0) for v in of) for of in SHORT.values()]
        cells = [f"{k / row['repetitions']:.2f}" if k else "0" for k in times]
        lines.append(
            f"| {row['images']}, {row['agreement']} | {row['evidence']} | {row['feature']} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join(lines)


def written() -> dict[str, Any]:
    """Return what the report reads: the command, and a row for each case and feature."""
    found: dict[str, Any] = json.loads(RATES.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Count, print, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    rows = []
    for n in SIZES:
        for agreement in AGREEMENTS:
            rows += counted(n, agreement, asked.repetitions)
            sys.stdout.write(page(rows[-len(EVIDENCE) * len(KINDS) :]) + "\n")
            sys.stdout.flush()
    for tests in (1, 6):
        most, flips = most_that_can_be_found(0.9, 500, tests, 1000)
        said = f"known spread {most:.3f}, signs flipped {flips:.3f}"
        sys.stdout.write(f"most that can be found, 500, 0.9, {tests} tests: {said}\n")
    if asked.write:
        command = f"python -m tests.analysis.simulate_verdicts --repetitions {asked.repetitions}"
        RATES.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        PAGE.write_text(
            f"{before}{BEGIN}\n{page(rows)}\n{END}{rest.split(END)[1]}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
