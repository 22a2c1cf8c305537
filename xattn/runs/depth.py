"""Whether the images of a run reached the model with all the bits that their files hold."""

from __future__ import annotations

import pandas as pd

from xattn.images.levels import CUT

_NAMED = 3


def lost_depth(predictions: pd.DataFrame) -> str:
    """Say how many images were cut to 8 bits; "" if none.

    Args:
        predictions: of a run.
    """
    if "converted" not in predictions:  # a run of an earlier version
        return ""
    notes = predictions["converted"].fillna("").astype(str)
    cut = notes[notes.str.contains(CUT, regex=False)]
    if not len(cut):
        return ""
    kinds = list(dict.fromkeys(note.partition(f", {CUT}")[0] for note in cut))
    named = ", ".join(kinds[:_NAMED]) + (", ..." if len(kinds) > _NAMED else "")
    return (
        f"{len(cut):,} of {len(notes):,} images reached the model {CUT}, though their files hold "
        f"more ({named}); save them as PNG or TIFF of 16 bits"
    )
