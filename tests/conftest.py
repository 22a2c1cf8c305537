"""What every test starts from: one thread, the same random numbers, little for the collector."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

# Tiny models gain nothing from threads, and tests may run beside each other. Plugins may have
# loaded NumPy before this line, which reads the variable only once: so its pool is told as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")
threadpool_limits(int(os.environ["OMP_NUM_THREADS"]))

# How long an example takes says something of what else the machine does, not of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def no_plugins_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin file that one test loads is in no other test's record of a call."""
    monkeypatch.setattr("xattn.plugins._files", [])


_n_modules = 0


@pytest.fixture(autouse=True)
def _imports_left_alone_by_the_garbage_collector() -> None:
    """What is imported stays: half a million objects, which each full collection walked through."""
    global _n_modules
    if len(sys.modules) > _n_modules + 100:
        gc.collect()
        gc.freeze()
        _n_modules = len(sys.modules)
