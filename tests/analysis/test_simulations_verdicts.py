"""Verdicts where the truth is known: see `simulate_verdicts`."""

import pytest

from tests.analysis import simulate_verdicts
from tests.analysis.simulate_verdicts import KINDS, SHORT, USED
from xattn.figures.known_answers import known_answers
from xattn.runs.tables.verdicts import BEYOND, CHANGES, MOVES, VERDICTS

UNUSED = ("unused number", "unused, edit drags", "unused, no edit")


@pytest.fixture(scope="module", params=[0.3, 0.9])
def times(request):
    """Fractions of 25 repetitions, by evidence and feature, of verdicts as in the docs."""
    rows = simulate_verdicts.counted(500, request.param, 25)
    return request.param, {
        (row["evidence"], row["feature"]): {
            short: sum(row["verdicts"].get(v, 0) for v in of) / row["repetitions"]
            for short, of in SHORT.items()
        }
        for row in rows
    }


@pytest.mark.slow
@pytest.mark.parametrize("evidence", ["edits", "detectors' masks"])
def test_with_edits_what_is_used_is_told_from_what_is_not(times, evidence):
    _, found = times
    for feature in ("used artifact", "used number"):
        assert found[evidence, feature]["used"] >= 0.9
    for feature in ("correlate", *UNUSED):
        assert found[evidence, feature]["used"] <= 0.12


@pytest.mark.slow
def test_without_edits_a_correlate_is_told_from_what_is_used_or_nothing_is_said(times):
    agreement, found = times
    used, other = (found["no edits", name] for name in ("used artifact", "correlate"))
    assert used["comes with another"] + used["not used"] <= 0.12
    assert used["used beyond"] >= (0.9 if agreement < 0.5 else 0.5)
    assert other["used beyond"] <= 0.12  # 1 % in truth, see docs/feature-usage.md
    assert not used["used"]


def test_the_report_and_the_docs_have_the_same_rates():
    text = simulate_verdicts.PAGE.read_text(encoding="utf-8")
    shown = text.split(simulate_verdicts.BEGIN)[1].split(simulate_verdicts.END)[0].strip()
    written = simulate_verdicts.written()
    assert shown == simulate_verdicts.page(written["rows"])
    assert f"`{written['command']} --write`" in text
    asked = {(r["images"], r["agreement"], r["evidence"], r["feature"]) for r in written["rows"]}
    every = {
        (n, a, e, f)
        for n in simulate_verdicts.SIZES
        for a in simulate_verdicts.AGREEMENTS
        for e in simulate_verdicts.EVIDENCE
        for f in KINDS.values()
    }
    assert asked == every
    assert all(sum(row["verdicts"].values()) == row["repetitions"] for row in written["rows"])
    assert all(row["repetitions"] >= 100 for row in written["rows"])


def test_each_sentence_counts_what_stands_in_the_table():
    rows = simulate_verdicts.written()["rows"]
    mine = [r for r in rows if r["feature"] == KINDS[USED]]
    bare = [r for r in mine if r["evidence"] == "no edits"]
    given = sum(row["verdicts"].get(BEYOND, 0) for row in bare)
    asked = sum(row["repetitions"] for row in bare)
    assert f"without edits it was given to {given:,} of {asked:,} used artifacts" in (
        known_answers(BEYOND)
    )
    edited = [r for r in mine if r["evidence"] != "no edits"]
    given = sum(row["verdicts"].get(CHANGES, 0) for row in edited)
    assert f"with edits it was given to {given:,} of" in known_answers(CHANGES)
    assert [v for v in VERDICTS if not known_answers(v)] == [MOVES]
    assert known_answers("better") == ""
