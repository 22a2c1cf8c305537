"""The precision of a run, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {"32": "float32", "bf16": "bfloat16", "16": "float16"}


def precision_in_words(settings: Mapping[str, Any]) -> str:
    """Say what a run was computed in; "" where it does not say.

    Args:
        settings: its run.json.

    >>> precision_in_words({"precision": "32"})
    'float32'
    >>> found = {"predictions": "bf16", "gradcam": "bf16", "saliency": "32"}
    >>> precision_in_words({"precision": "bf16", "computed_in": found})
    'bfloat16 up to the explained layer, float32 after it; saliency in float32 as a whole'
    """
    wanted, found = settings.get("precision"), dict(settings.get("computed_in") or {})
    if wanted is None or not found:
        return "" if wanted is None else _NAMES[wanted]
    note = settings.get("precision_note")
    lowest = found.pop("predictions")
    if lowest == "32":
        return f"float32, where {_NAMES[wanted]} was wanted ({note})"
    named = " and ".join(_NAMES.get(one, one) for one in lowest.split(", "))
    words = f"{named} up to the explained layer, float32 after it"
    if rest := [name for name, one in found.items() if one == "32"]:
        words += f"; {', '.join(rest)} in float32 as a whole"
    return words + (f" ({note})" if note else "")
