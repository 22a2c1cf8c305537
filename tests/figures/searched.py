"""What a search leaves in its folder, made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd


def write_search(out: Path, n: int = 12, complete: bool = True, importance: bool = True) -> Path:
    """Write what `xattn search` leaves of n trials, two thirds of them complete."""
    rng = np.random.default_rng(0)
    stages = ["[3]", "[4]", "[3, 4]"]
    trials = pd.DataFrame(
        {
            "trial": np.arange(n),
            "state": ["complete" if complete and i % 3 else "pruned" for i in range(n)],
            "value": rng.uniform(0.5, 0.9, n),
            "train.lr": 10 ** rng.uniform(-5, -2, n),
            "train.augment": rng.choice(["none", "light"], n),
            "model.options.stages": rng.choice(stages, n),
            "train.batch_size": rng.integers(4, 16, n),
        }
    )
    space = {
        "train.lr": {"low": 1e-5, "high": 1e-2, "log": True},
        "train.augment": ["none", "light"],
        "model.options.stages": [[3], [4], [3, 4]],
        "train.batch_size": {"low": 4, "high": 16},
    }
    fractions = [{"key": key, "share": 0.5 - i / 9, "chance": 0.3} for i, key in enumerate(space)]
    record = {
        "classes": ["benign", "malignant"],
        "search": {"metric": "val_balanced_accuracy", "space": space},
        "importance": fractions if importance else [],
    }
    out.mkdir()
    trials.to_csv(out / "trials.csv", index=False)
    (out / "search.json").write_text(json.dumps(record))
    return out
