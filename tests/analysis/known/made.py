"""Rows of known.csv made by hand: two worlds, networks that learned and one that did not."""

from __future__ import annotations

from typing import Any

import pandas as pd

FEATURES: dict[str, tuple[str, str, float, float]] = {
    "patches": ("shortcut", "", 1.2, 1.3),
    "ink": ("shortcut", "", 0.3, 0.3),
    "hair": ("correlate", "patches", 0.02, 0.1),
    "ruler": ("other", "", 0.0, 0.05),
    "gel_bubble": ("other", "", 0.05, 0.6),
    "age": ("nowhere", "", 0.0, 0.0),
}
"""Role, what it goes with, effect and size."""
EVIDENCE = (
    "dependence",
    "edit",
    "edit, 0.2 sd or more",
    "verdict: used",
    "verdict: changes decisions",
)
SAID = {
    "dependence": {"patches", "ink", "hair"},
    "edit": {"patches", "ink"},
    "edit, 0.2 sd or more": {"patches", "ink"},
    "verdict: used": {"patches"},
    "verdict: changes decisions": {"patches"},
}


def known_rows(networks: int = 8) -> pd.DataFrame:
    """Return rows as `rows_of_network` makes them; the last network did not learn.

    Every other network learned without the plant, and uses no shortcut.
    """
    rows: list[dict[str, Any]] = []
    for number in range(networks):
        planted, pair = number % 2 == 0, number // 2
        world = "a" if pair % 2 == 0 else "b"
        facts = {
            "network": f"n{number}", "world": world, "half": "first" if world == "a" else "held",
            "architecture": "small", "seed": pair, "planted": planted, "images": 100 + 50 * pair,
            "accuracy": 0.9 if number < networks - 1 else 0.55, "learned": number < networks - 1,
        }  # fmt: skip
        for feature, (role, goes_with, effect, size) in FEATURES.items():
            shrunk = 0.0 if role == "shortcut" and not planted else effect
            for evidence in EVIDENCE:
                said = feature in SAID[evidence] and (planted or role != "shortcut")
                rows.append({
                    **facts, "feature": feature, "kind": "artifact", "role": role,
                    "log_odds": 3.0 if role == "shortcut" and planted else 0.0,
                    "goes_with": goes_with, "agreement": 0.9 if goes_with else None,
                    "effect": shrunk, "error": 0.01, "size": size if shrunk or role == "other"
                    else 0.0, "evidence": evidence, "said": said,
                    "p_value": 0.001 if said else 0.5, "p_adjusted": 0.004 if said else 0.9,
                })  # fmt: skip
    return pd.DataFrame(rows)
