import numpy as np
import pytest

from xattn.analysis.interventions.outcome import Scores

RNG = np.random.default_rng(0)


def test_a_row_tells_the_change_beyond_the_control():
    n = 200
    before = RNG.normal(size=n)
    after, control = before + 1 + RNG.normal(0, 0.2, n), before + 0.2 + RNG.normal(0, 0.2, n)
    control[:20] = np.nan
    borrowed = np.arange(n) % 2 == 1
    compared = np.where(borrowed, before + 5, before)
    control = np.where(borrowed, control + 5, control)
    scores = Scores(
        before=before,
        after=after,
        control=control,
        compared=compared,
        flipped=after * before < 0,
        control_flipped=control * compared < 0,
        borrowed=borrowed,
        groups=np.arange(n) // 2,
    )
    row = scores.to_row(999, 500, 0)
    assert (row["n"], row["n_control"], row["n_borrowed"], row["groups"]) == (200, 180, 90, 100)
    assert row["delta_low"] < 1 < row["delta_high"]
    assert row["excess_low"] < 0.8 < row["excess_high"]
    assert row["excess_logit"] == pytest.approx((after - before - control + compared)[20:].mean())
    assert row["flip_rate"] == pytest.approx((after * before < 0).mean())
    assert row["p_value"] == 0.001


def test_a_row_of_nothing_has_no_numbers():
    none = np.empty(0)
    empty = none > 0
    row = Scores(none, none, none, none, empty, empty, empty, none).to_row(99, 99, 0)
    assert row["n"] == 0
    assert np.isnan([row["delta_logit"], row["p_value"], row["excess_low"]]).all()
