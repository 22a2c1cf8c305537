"""What would tell more of a feature, where its verdict leaves something open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from xattn.analysis.interventions.shown import BY_DETECTOR
from xattn.analysis.verdicts.edits import Edit
from xattn.analysis.verdicts.rules import Limits, Verdict
from xattn.runs.tables.verdicts import BEYOND, COMES_WITH, GIVEN, LEFT_OPEN, NOT_TESTABLE, UNCLEAR

MASKS = "masks of it, so that it can be edited"
MORE_IMAGES = "more images to edit"
SHOWN = "more images with it, and masks of it to edit"
NOT_ANNOTATED = "a column of what goes with it and the model may see"


def would_settle(
    row: Mapping[str, Any],
    found: Verdict,
    edits: Sequence[Edit],
    used: Collection[str],
    limits: Limits,
) -> str | None:
    """Say what would tell more of a feature than there was to tell; None where nothing is open.

    Args:
        row: of verdicts.csv.
        found: what follows so far.
        edits: of the feature, those with numbers.
        used: other features that are shown to be used.
        limits: what counts.
    """
    if found.verdict == COMES_WITH and GIVEN in found.contradicts:
        return NOT_ANNOTATED
    if found.verdict not in (BEYOND, LEFT_OPEN, UNCLEAR, NOT_TESTABLE):
        return None
    if edits:
        return _of_edits(edits, used, limits)
    if row["kind"] in ("structure", "artifact"):
        # With masks and no edit there was no image that could be edited.
        return SHOWN if found.verdict == NOT_TESTABLE else MASKS
    if found.verdict == NOT_TESTABLE:
        return "more images in which its value is known"
    if found.verdict in (BEYOND, LEFT_OPEN):
        return NOT_ANNOTATED
    given = pd.notna(row["p_given_adjusted"])
    return "more images" if given else "other features to hold fixed: --given others"


def _of_edits(edits: Sequence[Edit], used: Collection[str], limits: Limits) -> str:
    """Say why edits leave it open, the reason that is most certain first."""
    for one in edits:
        if not one.moves(limits.alpha, limits.change):
            continue
        along = [name for name in one.changed_with if name in used]
        larger = [name for name, size in one.beside if abs(size) > one.own]
        if names := along or larger:
            return f"an edit that leaves {', '.join(names)} as it is: {one.name} changes it too"
    if any(one.masks == BY_DETECTOR for one in edits):
        return MASKS
    if failed := [one.name for one in edits if not one.does]:
        return f"an edit that changes it more than {', '.join(failed)} does"
    if poor := [one.name for one in edits if one.caveat]:
        return f"an edit that does all that the feature does: {', '.join(poor)} does not"
    return MORE_IMAGES
