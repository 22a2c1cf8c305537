"""What every test starts from: one thread, and the same random numbers."""

from __future__ import annotations

import os
import sys

import pytest

# Tiny models gain nothing from threads, and tests may run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
