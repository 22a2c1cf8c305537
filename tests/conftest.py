"""What every test starts from: one thread, the same random numbers, little for the collector."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The module `ray`, connected to a cluster of two processors on this machine."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = signal.getsignal(signal.SIGTERM)  # which Ray takes, and other tests need
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    signal.signal(signal.SIGTERM, before)
    yield ray
    ray.shutdown()
