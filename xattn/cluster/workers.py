"""Workers on a cluster: each made once, given one job at a time, and replaced when it dies.

A job is handed out when a worker is free for it, so that nothing piles up where it is slow. One
whose worker dies is handed out again, to whoever is free next.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xattn.errors import RunError, XattnError, one_line
from xattn.plugins import load_file, loaded_files
from xattn.settings.cluster import RaySettings

Work = Callable[[Any], Any]
"""Takes a job and returns its result, on a worker."""

TRIES = 3
"""So often a job whose worker died is handed out again, and a worker that dies is started again."""
_LONGEST_WAIT = 0.5
"""Seconds for which Ray is waited for at a time."""
_AHEAD = 4
"""Jobs for each worker that may be done before the one whose result is wanted next."""


class LostError(RunError):
    """The workers of a job died too often; the message goes on a sentence about the job."""


@dataclass(frozen=True)
class Ended:
    """A job that a worker is done with.

    Attributes:
        job: as it was handed out.
        result: of the work; None if it failed.
        error: what the work raised, or a `LostError` where its workers died; None if it did not.
    """

    job: Any
    result: Any = None
    error: BaseException | None = None


@dataclass(frozen=True)
class _Handed:
    """A job, and how many workers died of it."""

    job: Any
    deaths: int = 0


def workers_of(ray: Any, how: RaySettings, *, gpu: bool) -> int:
    """Return how many workers to start, at least 1.

    Args:
        ray: connected.
        how: what was asked for.
        gpu: whether each needs a GPU.

    Raises:
        RunError: each needs one, and the cluster has none.
    """
    if how.workers is not None:
        return how.workers
    there = ray.cluster_resources()
    processors = max(1, int(there.get("CPU", 1)))
    if not gpu:
        return processors
    if (gpus := int(there.get("GPU", 0))) < 1:
        raise RunError(
            "Expected a Ray cluster with a GPU for a model on one, but got none; --device cpu "
            "computes without"
        )
    return min(processors, gpus)


class Workers:
    """Workers of a cluster, as a block: what is at work at its end is stopped.

    Args:
        ray: connected.
        make: makes, on each worker, the function that does a job; it must be one of a module.
        given: its arguments; held here until the end, for workers that are started again.
        number: of the workers.
        gpu: whether each needs a GPU beside its processor.
    """

    def __init__(
        self, ray: Any, make: Callable[..., Work], given: Sequence[Any], number: int, *, gpu: bool
    ) -> None:
        self._ray = ray
        self._given = ray.put((make, tuple(given)))
        self._plugins = [str(file.absolute()) for file in loaded_files()]
        # Whoever dies is replaced here and not by Ray, which would hold its job back for it.
        needs = {"num_cpus": 1, "num_gpus": 1 if gpu else 0, "max_restarts": 0}
        self._kind = ray.remote(**needs)(_Actor)
        self._starting: dict[Any, tuple[Any, int]] = {}
        self._doing: dict[Any, tuple[Any, _Handed]] = {}
        self._idle: list[Any] = []
        self._again: deque[_Handed] = deque()
        self.number = number
        for _ in range(number):
            self._start(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        at_work = [actor for actor, _ in (*self._starting.values(), *self._doing.values())]
        for actor in (*at_work, *self._idle):
            with suppress(Exception):  # it is gone already
                self._ray.kill(actor)

    @property
    def free(self) -> int:
        """How many could take a job now."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many jobs are not done with."""
        return len(self._doing) + len(self._again)

    def hand_out(self, job: Any) -> None:
        """Give a job to a worker that is free; there must be one.

        Args:
            job: can be pickled.
        """
        self._give(_Handed(job))

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait until something changes; return the job that ended, if one did.

        Args:
            timeout: seconds; None to wait as long as it takes.

        Raises:
            RunError: no worker can be started any more.
            XattnError: what a worker needs cannot be made on it.
        """
        watched = [*self._starting, *self._doing]
        until = math.inf if timeout is None else time.monotonic() + timeout
        if not watched:
            time.sleep(timeout or 0)
            return None
        ready: list[Any] = []
        while not ready:
            left = until - time.monotonic()
            if left <= 0:
                return None
            # Handlers of signals run between two waits, and not within one.
            ready, _ = self._ray.wait(watched, num_returns=1, timeout=min(left, _LONGEST_WAIT))
        ended = None
        if ready[0] in self._starting:
            self._started(ready[0])
        else:
            ended = self._ended(ready[0])
        while self._again and self._idle:
            self._give(self._again.popleft())
        return ended

    def _start(self, deaths: int) -> None:
        actor = self._kind.remote(str(Path.cwd()), self._plugins, [self._given])
        self._starting[actor.ready.remote()] = actor, deaths

    def _give(self, handed: _Handed) -> None:
        actor = self._idle.pop()
        self._doing[actor.do.remote(handed.job)] = actor, handed

    def _started(self, ref: Any) -> None:
        """Take in a worker that is ready, or start another in place of one that is not."""
        actor, deaths = self._starting.pop(ref)
        try:
            self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as err:
            if isinstance(err.cause, XattnError):
                raise err.cause from None
            raise RunError(
                f"Expected a worker that starts, but got: {one_line(err.cause)[:200]}"
            ) from err
        except self._ray.exceptions.RayError as err:
            if deaths < TRIES:
                self._start(deaths + 1)
            elif not (self._starting or self._doing or self._idle):
                raise RunError(
                    f"Expected a worker that starts, but {deaths + 1} died in doing so "
                    f"({one_line(err)[:200]}); is there memory for {self.number}? --ray-workers"
                ) from err
        else:
            self._idle.append(actor)

    def _ended(self, ref: Any) -> Ended | None:
        actor, handed = self._doing.pop(ref)
        try:
            result = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as err:
            self._idle.append(actor)
            return Ended(handed.job, error=err.cause)
        except self._ray.exceptions.RayError as err:
            self._start(0)
            deaths = handed.deaths + 1
            if deaths <= TRIES:
                self._again.append(_Handed(handed.job, deaths))
                return None
            why = f"its worker died {deaths} times ({one_line(err)[:200]})"
            return Ended(handed.job, error=LostError(why))
        self._idle.append(actor)
        return Ended(handed.job, result)


def in_order(workers: Workers, jobs: Iterable[Any], called: Callable[[Any], str]) -> Iterator[Any]:
    """Give the results of jobs in the order of these, whoever is done first.

    Args:
        workers: do them; must be free of others.
        jobs: can be pickled and hashed, each another.
        called: names a job in an error.

    Raises:
        XattnError: a job raised it.
        RunError: the workers of a job died too often, or it raised another exception.
    """
    waiting = deque(jobs)
    order, done = deque(waiting), dict[Any, Any]()
    while order:
        begun = workers.busy + len(done)
        while waiting and workers.free and begun < workers.number * _AHEAD:
            workers.hand_out(waiting.popleft())
            begun += 1
        if (ended := workers.wait()) is not None:
            done[ended.job] = _result(ended, called)
        while order and order[0] in done:
            yield done.pop(order.popleft())


def _result(ended: Ended, called: Callable[[Any], str]) -> Any:
    error = ended.error
    if error is None:
        return ended.result
    if isinstance(error, LostError):
        raise RunError(f"Expected a worker to do {called(ended.job)}, but {error}")
    if isinstance(error, XattnError):
        raise error
    raise RunError(
        f"Expected a worker to do {called(ended.job)}, but got {type(error).__name__}: "
        f"{one_line(error)[:200]}"
    ) from error


class _Actor:
    """A worker: makes what does the jobs, once, and does them one by one."""

    def __init__(self, here: str, plugins: Sequence[str], given: Sequence[Any]) -> None:
        self._error: Exception | None = None
        try:
            os.chdir(here)  # names in tables and messages are as they were typed
            for file in plugins:  # before what was pickled may need them
                load_file(file)
            make, arguments = import_module("ray").get(given[0])
            self._work: Work = make(*arguments)
        except Exception as err:
            self._error = err

    def ready(self) -> None:
        """Say that it is, or why it is not."""
        if self._error is not None:
            raise self._error

    def do(self, job: Any) -> Any:
        """Do a job."""
        return self._work(job)
