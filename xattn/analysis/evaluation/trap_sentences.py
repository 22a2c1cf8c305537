"""What a trap set says, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.evaluation.trap import ALL, NOTHING


def trap_sentences(table: pd.DataFrame) -> list[str]:
    """Say what the table says of balanced accuracy, one sentence a correction.

    Args:
        table: trap.csv.

    Returns:
        One sentence a row.
    """
    rows = table[table["metric"] == "balanced_accuracy"].set_index("alike_in")
    said = []
    for name, row in rows.iterrows():
        if np.isnan(row["drop"]):
            said.append(f"Too few images alike in {name} on both sides to compare.")
            continue
        drop = _shown(row, "drop")
        if name == NOTHING:
            said.append(
                f"Balanced accuracy is {row['amplified']:.3f} where artifacts and label go "
                f"together, {row['reversed']:.3f} where they are reversed: a drop of {drop}."
            )
        else:
            features = "all of them" if name == ALL else name
            if np.isnan(row["explained"]):
                explained = (
                    "what they explain cannot be told, for only images with them, or only those "
                    "without, are enough on both sides"
                )
            else:
                explained = f"{_shown(row, 'explained')} less"
            said.append(f"Among images alike in {features} the drop is {drop}: {explained}.")
    return said


def _shown(row: pd.Series[Any], what: str) -> str:
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    interval = "" if np.isnan(low) else f" ({low:.3f} to {high:.3f})"
    return f"{row[what]:.3f}{interval}"
