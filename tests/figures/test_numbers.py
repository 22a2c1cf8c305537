import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xattn.figures.numbers import (
    count,
    decimals,
    fixed,
    listed,
    p_phrase,
    p_value,
    readable,
    shortened,
    unbroken,
    with_interval,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1.8234, 1.71, 1.9512), "1.82 [1.71, 1.95]"),
        ((0.023456, 0.0141, 0.0362), "0.023 [0.014, 0.036]"),
        ((-0.5, -0.9, 0.1), "−0.50 [−0.90, 0.10]"),
        ((50.2, 10.4, 90.6), "50 [10, 91]"),
        ((1.8234, NAN, NAN), "1.82"),
        ((NAN, NAN, NAN), "–"),
        ((1.0, 1.0, 1.0), "1.00 [1.00, 1.00]"),
    ],
)
def test_a_number_is_rounded_to_its_interval(numbers, text):
    assert with_interval(*numbers) == text


def test_a_unit_stands_behind_the_number_and_not_behind_its_bounds():
    assert with_interval(83.04, 81.4, 84.6, " %") == "83.0 % [81.4, 84.6]"


@given(st.floats(-1e3, 1e3), st.floats(1e-4, 1e4))
@settings(deadline=None, max_examples=60)
def test_the_last_digit_is_a_tenth_to_a_hundredth_of_the_half_width(value, half):
    places = decimals(value - half, value + half)
    unit, half = 10.0**-places, ((value + half) - (value - half)) / 2
    assert places == 4 or unit <= half / 10 * (1 + 1e-9)
    assert places == 0 or unit >= half / 100 * (1 - 1e-9)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.0, 2, "0.00"), (-0.001, 2, "0.00"), (-1234.56, 1, "−1,234.6"), (math.inf, 2, "–")],
)
def test_a_minus_is_a_minus_and_zero_has_none(value, places, text):
    assert fixed(value, places) == text


@pytest.mark.parametrize(
    ("p", "smallest", "text"),
    [
        (0.001, 0.001, "≤ 0.001"),
        (0.000208377, 1 / 4799, "≤ 0.00021"),
        (0.002, 0.001, "0.002"),
        (0.0004, None, "< 0.001"),
        (0.0313, None, "0.031"),
        (0.25, None, "0.25"),
        (1.0, None, "1.00"),
        (NAN, 0.001, "–"),
    ],
)
def test_a_p_value_at_the_floor_of_its_permutations_is_a_bound(p, smallest, text):
    assert p_value(p, smallest) == text


def test_a_p_value_in_a_sentence_has_a_sign():
    assert p_phrase(0.02) == "p = 0.020"
    assert p_phrase(0.001, 0.001) == "p ≤ 0.001"


def test_counts_carry_their_noun():
    assert [count(n, "class", "classes") for n in (0, 1, 2594)] == [
        "no classes", "1 class", "2,594 classes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists_read_as_in_a_sentence(words, text):
    assert listed(words) == text


def test_long_lists_end_in_how_many_more():
    assert listed(["a", "b"], total=1002) == "a, b and 1,000 more"
    assert listed(["a", "b"], total=2) == "a and b"


def test_names_lose_underscores_and_what_does_not_print():
    assert readable("pigment_network\n") == "pigment network�"


def test_long_names_keep_both_ends():
    short = shortened("ISIC_0000000_downsampled", 12)
    assert len(short) == 12
    assert short.startswith("ISIC_0")
    assert short.endswith("mpled")
    assert shortened("short", 12) == "short"


def test_numbers_stay_with_what_belongs_to_them():
    kept = unbroken("83.0 % [81.4, 84.6] and p = 0.02, so")
    assert kept == "83.0\xa0% [81.4,\xa084.6] and p\xa0=\xa00.02, so"
