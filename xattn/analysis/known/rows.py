"""The rows of known.csv: one network's evidence beside what is known of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xattn.analysis.known.findings import evidence_of
from xattn.analysis.known.rates import LEARNED
from xattn.analysis.known.world import CONTROL, World
from xattn.runs import RunFolder

_CONTROL = {"effect": 0.0, "error": 0.0, "size": 0.0}


def rows_of_network(run: RunFolder, world: World, *, alpha: float, **facts: Any) -> pd.DataFrame:
    """Return what each kind of evidence says of each feature, beside its true effect.

    Features of which no truth was measured, such as the lesion, are left out; controls are random
    numbers, and no network uses them.

    Args:
        run: with the tables of `feature_usage`, and true_effects.csv.
        world: that the network lives in.
        alpha: level of the tests.
        facts: network, architecture, seed, planted and accuracy.
    """
    said = evidence_of(run, alpha)
    truth = run.table("true_effects").set_index("feature")[list(_CONTROL)]
    controls = said.loc[said["kind"] == CONTROL, "feature"].unique()
    truth = pd.concat([truth, pd.DataFrame(_CONTROL, index=list(controls))])
    rows = said[said["feature"].isin(truth.index)].reset_index(drop=True)
    # A feature may be of another kind in another table; its part in the world is one.
    kind = rows.groupby("feature")["kind"].first()
    role = {name: world.role(name, str(kind[name])) for name in kind.index}
    strengths = {**world.medicine, **(world.shortcuts if facts["planted"] else {})}
    names = rows["feature"]
    own = {
        **facts,
        "learned": bool(facts["accuracy"] >= LEARNED),
        "world": world.name,
        "half": world.half,
        "images": world.images,
        "role": names.map(role),
        "log_odds": names.map(strengths).astype(float).fillna(0.0),
        "goes_with": names.map(world.correlates).fillna(""),
        "agreement": np.where(names.isin(list(world.correlates)), world.agreement, np.nan),
        **{column: names.map(truth[column]).astype(float) for column in _CONTROL},
    }
    return rows.assign(**own)
