from __future__ import annotations

import pytest

from xattn.training.schedule import learning_rate

SCHEDULES = ["cosine", "step", "constant"]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 0.99])
def test_the_rate_never_leaves_its_range(schedule: str, steps: int, warmup: float):
    rate = learning_rate(schedule, steps, warmup)
    # The scheduler asks for one step beyond the last.
    assert all(0 <= rate(step) <= 1 for step in range(steps + 1))
    assert rate(0) > 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_is_linear_and_ends_at_the_full_rate(schedule: str):
    rate = learning_rate(schedule, 100, 0.1)
    assert [rate(step) for step in range(11)] == pytest.approx([(i + 1) / 11 for i in range(11)])


def test_cosine_is_half_in_the_middle_and_nothing_at_the_end():
    rate = learning_rate("cosine", 100, 0.0)
    assert rate(50) == pytest.approx(0.5)
    assert rate(100) == pytest.approx(0, abs=1e-12)


def test_step_is_a_tenth_from_half_and_a_hundredth_from_three_quarters():
    rate = learning_rate("step", 100, 0.0)
    assert [rate(i) for i in (49, 50, 74, 75, 99)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_constant_stays():
    rate = learning_rate("constant", 100, 0.0)
    assert {rate(i) for i in range(100)} == {1.0}
