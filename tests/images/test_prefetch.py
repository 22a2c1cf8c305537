"""Work in threads looks from outside like a plain loop."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from xattn.images.prefetch import prefetch


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_items(workers):
    def work(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(prefetch(work, range(40), workers)) == [i * i for i in range(40)]


@pytest.mark.parametrize("workers", [0, 3])
def test_an_exception_is_raised_at_its_items_turn(workers):
    def work(i: int) -> int:
        if i == 5:
            raise ValueError("item 5")
        return i

    stream = prefetch(work, range(20), workers)
    assert list(itertools.islice(stream, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="item 5"):
        next(stream)


@pytest.mark.parametrize("workers", [0, 3])
def test_no_items_give_no_results(workers):
    assert list(prefetch(str, [], workers)) == []


def test_at_most_ahead_results_are_in_the_making():
    begun = itertools.count()
    started: list[int] = []

    def work(i: int) -> int:
        started.append(next(begun))
        return i

    stream = prefetch(work, itertools.count(), workers=2, ahead=6)
    assert [next(stream) for _ in range(10)] == list(range(10))
    time.sleep(0.05)
    assert len(started) <= 10 + 6
    stream.close()


def test_closing_early_waits_for_the_items_begun_and_begins_no_more():
    done: list[int] = []

    def work(i: int) -> int:
        time.sleep(0.01)
        done.append(i)
        return i

    before = threading.active_count()
    stream = prefetch(work, range(1000), workers=2, ahead=60)
    assert next(stream) == 0
    stream.close()
    finished = len(done)
    time.sleep(0.05)
    assert len(done) == finished < 40
    assert threading.active_count() == before


def test_items_are_asked_for_only_when_there_is_room():
    asked: list[int] = []

    def items():
        for i in range(1000):
            asked.append(i)
            yield i

    stream = prefetch(str, items(), workers=2, ahead=4)
    next(stream)
    assert len(asked) <= 5
    stream.close()
