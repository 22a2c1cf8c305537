"""What versions of Pillow lack that are allowed and not installed here."""

from __future__ import annotations

import PIL
import pytest

FULL = 12
"""From this version on, every format of the tests is there."""
LACKED = frozenset({"AVIF", "QOI", "TIFF of YCbCr"})


def skip_if_old(what: str) -> None:
    """Skip a test for what an old Pillow lacks; fail it where that must be there."""
    old = int(PIL.__version__.partition(".")[0]) < FULL
    assert old and what in LACKED, f"Pillow {PIL.__version__} should handle {what}"  # noqa: PT018
    pytest.skip(f"Pillow {PIL.__version__} is too old for {what}")
