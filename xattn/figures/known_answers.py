"""How often each verdict is given where the truth is known, one sentence each.

The numbers are those of known_answers.json, which `tests/analysis/simulate_verdicts.py` writes
beside the table of docs/feature-usage.md.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from xattn.figures.numbers import listed
from xattn.runs.tables import verdicts

_FILE = Path(__file__).with_suffix(".json")

_NO_EDITS = ("no edits",)
_EDITED = ("edits", "detectors' masks")
_BY_EVIDENCE = {
    verdicts.CHANGES: _EDITED,
    verdicts.HARDLY: _EDITED,
    verdicts.LEFT_OPEN: _EDITED,
    verdicts.BEYOND: _NO_EDITS,
}
"""Evidence with which a verdict can be given; all others with any."""
_NAMES = {
    "used artifact": "used artifacts",
    "correlate": "correlates of these",
    "used number": "used numbers",
    "unused number": "unused numbers",
    "unused, edit drags": "unused numbers",
    "unused, no edit": "unused numbers",
}

PLANTED = (
    "Of 20 trained networks with a planted artifact, single edits alone gave it to that one in 20, "
    "to its correlate in none, and to other features in 0 of 100 cases."
)
"""Of `python -m tests.analysis.planted`, on `verdicts.CHANGES`; graded edits took no part."""


@cache
def _rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))["rows"]
    return found


def known_answers(verdict: str) -> str:
    """Say how often a verdict was given to features of which it is known what a model made of them.

    Args:
        verdict: as in verdicts.csv.

    Returns:
        A sentence or two; "" of one that was not simulated, which is of models of values.
    """
    if verdict == verdicts.MOVES or verdict not in verdicts.VERDICTS:
        return ""
    wanted = _BY_EVIDENCE.get(verdict, (*_NO_EDITS, *_EDITED))
    given: dict[str, int] = {}
    asked: dict[str, int] = {}
    for row in _rows():
        if row["evidence"] in wanted:
            name = _NAMES[row["feature"]]
            given[name] = given.get(name, 0) + int(row["verdicts"].get(verdict, 0))
            asked[name] = asked.get(name, 0) + int(row["repetitions"])
    parts = [f"{given[name]:,} of {asked[name]:,} {name}" for name in given]
    with_what = {_NO_EDITS: "without edits", _EDITED: "with edits"}.get(wanted, "")
    how = "On simulated known answers" + (f" {with_what}" if with_what else "")
    said = f"{how} it was given to {listed(parts)}."
    return f"{said} {PLANTED}" if verdict == verdicts.CHANGES else said
