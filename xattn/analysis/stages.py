"""An analysis as a row of stages: their times, their progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xattn.features.masks import Progress


@dataclass(frozen=True)
class Clock:
    """Seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


@dataclass
class Steps:
    """Reports several stages as one."""

    progress: Progress | None
    total: int
    before: int = 0

    def part(self, length: int) -> Progress | None:
        """Return the progress of the next stage, `length` steps of the whole."""
        if self.progress is None:
            return None
        report, start = self.progress, self.before
        self.before += length
        return lambda done, _: report(start + done, self.total)
