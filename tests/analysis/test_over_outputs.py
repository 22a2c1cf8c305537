"""Tests of several outputs hold together: no false finding in any of them more often than alpha."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from xattn.analysis.over_outputs import note_over_outputs, with_p_over_outputs
from xattn.stats.adjust import holm


def usage(*rows):
    table = pd.DataFrame(rows, columns=["target", "feature", "p_adjusted", "used"])
    return with_p_over_outputs(table, table["target"].nunique())


def test_adjusted_p_values_are_multiplied_by_the_outputs_and_stay_probabilities():
    table = usage(("a", "x", 0.01, True), ("b", "x", 0.6, False), ("b", "y", np.nan, False))
    np.testing.assert_allclose(table["p_over_outputs"], [0.02, 1.0, np.nan])


def test_a_table_without_adjusted_p_values_stays_as_it_is():
    table = pd.DataFrame({"target": ["a"], "gap": [0.1]})
    assert list(with_p_over_outputs(table, 3)) == ["target", "gap"]


def test_the_note_counts_dependences_and_not_their_several_tests():
    table = usage(
        ("a", "x", 0.001, True), ("a", "x", 0.03, True), ("a", "y", 0.04, True),
        ("b", "x", 0.02, True), ("b", "y", 0.9, False),
    )  # fmt: skip
    said = note_over_outputs(table, 2, 0.05, 999)
    assert said.endswith("(p_over_outputs, Bonferroni) 2 of 3 dependences hold")
    assert not note_over_outputs(table, 1, 0.05, 999)
    none = note_over_outputs(usage(("a", "x", 0.5, False)), 2, 0.05, 999)
    assert "no dependence was found" in none


@pytest.mark.parametrize(("outputs", "drawn", "enough"), [(14, 279, False), (14, 280, True)])
def test_too_few_permutations_for_so_many_outputs_are_said(outputs, drawn, enough):
    said = note_over_outputs(usage(("a", "x", 0.5, False)), outputs, 0.05, drawn)
    assert (f"{drawn} permutations cannot show one: --permutations 280" in said) != enough


def test_a_false_finding_in_any_output_is_no_more_frequent_than_the_level():
    rng, hits, n = np.random.default_rng(0), {"alone": 0, "together": 0}, 600
    for _ in range(n):
        shared = rng.normal(size=4)  # outputs are alike, as findings of one film are
        z = 0.6 * shared + 0.8 * rng.normal(size=(10, 4))
        p = 2 * norm.sf(np.abs(z))
        rows = [(f"o{k}", f"f{i}", q, q < 0.05)
                for k in range(10) for i, q in enumerate(holm(p[k]))]  # fmt: skip
        table = usage(*rows)
        hits["alone"] += bool(table["used"].any())
        hits["together"] += bool((table["p_over_outputs"] < 0.05).any())
    assert hits["alone"] / n > 0.2
    assert hits["together"] / n < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)
