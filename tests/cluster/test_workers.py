"""Workers of a cluster: jobs once each, in order, and what ends a call that waits for them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from xattn.cli.signals import Terminated, terminable
from xattn.cluster.connect import connected
from xattn.cluster.messages import Messages
from xattn.cluster.workers import Workers, in_order, workers_of
from xattn.errors import RunError, UsageError
from xattn.settings.cluster import RaySettings


def sleeping(_given: object) -> Callable[[float], float]:
    def sleep(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    return sleep


def refusing(_given: object) -> Callable[[float], float]:
    raise UsageError("Expected something else")


def counting(folder: Path) -> Callable[[int], int]:
    """Note each start, so that workers can be counted."""
    (folder / f"{os.getpid()}-{time.time_ns()}").touch()

    def double(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return 2 * number

    return double


def wait_and_be_ended(began: list[float]) -> None:
    """Wait for a job of a minute; a second later the process is asked to end."""
    with connected(None) as ray, Workers(ray, sleeping, [None], 1, gpu=False) as workers:
        while not workers.free:
            workers.wait(1)
        workers.hand_out(60.0)
        began.append(time.monotonic())
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while workers.busy:
            workers.wait(30)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray, about its own sockets
class TestOnACluster:
    def test_results_come_in_the_order_of_the_jobs_and_each_worker_is_made_once(
        self, cluster, tmp_path
    ):
        with Workers(cluster, sleeping, [None], 2, gpu=False) as workers:
            times = [0.5, 0.01, 0.02, 0.03, 0.04]
            assert list(in_order(workers, times, str)) == times
        with Workers(cluster, counting, [tmp_path], 2, gpu=False) as workers:
            assert list(in_order(workers, [4, 5, 6, 7], str)) == [8, 10, 12, 14]
            with pytest.raises(RunError, match="a worker to do job 3, but got ValueError: three"):
                list(in_order(workers, [1, 2, 3], lambda number: f"job {number}"))
        assert 1 <= len(list(tmp_path.iterdir())) <= 2

    def test_what_a_worker_cannot_be_made_of_ends_the_call_in_its_own_words(self, cluster):
        workers = Workers(cluster, refusing, [None], 1, gpu=False)
        with workers, pytest.raises(UsageError, match=r"^Expected something else$"):
            list(in_order(workers, [1.0], str))

    def test_a_signal_that_comes_while_ray_waits_ends_the_call_as_anywhere_else(self, cluster):
        began: list[float] = []
        before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            with terminable(), pytest.raises(Terminated):
                wait_and_be_ended(began)
            assert time.monotonic() - began[0] < 6
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_messages_arrive_in_order_and_none_are_no_wait(self, cluster):
        messages = Messages(cluster)
        assert messages.take() == []
        tell, found = messages.sender, []
        for number in range(5):
            tell(number)
        deadline = time.monotonic() + 60
        while len(found) < 5 and time.monotonic() < deadline:
            found += messages.take()
            time.sleep(0.05)
        messages.close()
        assert found == [0, 1, 2, 3, 4]


class TestHowMany:
    @pytest.mark.parametrize(
        ("there", "asked", "gpu", "number"),
        [
            ({"CPU": 8.0}, None, False, 8),
            ({"CPU": 8.0, "GPU": 2.0}, None, True, 2),  # more would wait for ever
            ({"CPU": 8.0}, 3, False, 3),
            ({}, None, False, 1),
        ],
    )
    def test_one_for_each_processor_or_gpu_unless_told(self, there, asked, gpu, number):
        ray = SimpleNamespace(cluster_resources=lambda: there)
        assert workers_of(ray, RaySettings(workers=asked), gpu=gpu) == number

    def test_a_model_on_a_gpu_needs_a_cluster_that_has_one(self):
        ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0})
        with pytest.raises(RunError, match=r"with a GPU .* --device cpu"):
            workers_of(ray, RaySettings(), gpu=True)
