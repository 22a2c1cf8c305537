"""What workers say while they are at work, until the call that started them takes it.

Nothing of it decides anything: a message that is lost with its machine is not missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tell = Callable[[Any], None]


class Messages:
    """Messages of workers, kept on the cluster.

    Args:
        ray: connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._kept = ray.remote(num_cpus=0, max_restarts=-1)(_Kept).remote()
        self._asked = self._kept.take.remote()

    @property
    def sender(self) -> Tell:
        """What workers are given to tell something; it can be pickled, and does not wait."""
        return Sender(self._kept)

    def take(self) -> list[Any]:
        """Return what was told and has come here, without waiting for more."""
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return []
        try:
            found: list[Any] = self._ray.get(self._asked)
        except self._ray.exceptions.RayError:
            found = []
        self._asked = self._kept.take.remote()
        return found

    def close(self) -> None:
        """Give up the place on the cluster."""
        self._ray.kill(self._kept)


class Sender:
    """Tells something from a worker.

    Args:
        kept: the actor that keeps it.
    """

    def __init__(self, kept: Any) -> None:
        self._to = kept

    def __call__(self, message: Any) -> None:
        """Tell it."""
        self._to.put.remote(message)


class _Kept:
    """Keeps messages; an actor of Ray."""

    def __init__(self) -> None:
        self._messages: list[Any] = []

    def put(self, message: Any) -> None:
        self._messages.append(message)

    def take(self) -> list[Any]:
        found, self._messages = self._messages, []
        return found
