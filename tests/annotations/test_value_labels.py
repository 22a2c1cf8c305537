"""Reference values as labels, and the strata that tests keep within."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xattn.annotations import AnnotatedImage
from xattn.annotations.value_labels import strata, value_label, values_of


def image(**known) -> AnnotatedImage:
    return AnnotatedImage("x", Path("x.png"), **known)


def test_the_reference_is_the_feature_of_the_outputs_name_else_a_label_that_is_a_number():
    assert value_label(image(label="3", values={"age": 54}), ["age"]) == "age = 54.0"
    assert value_label(image(label="3", values={"sex": "m"}), ["grade"]) == "grade = 3.0"
    assert value_label(image(label="severe"), ["grade"]) is None
    assert value_label(image(label="3", values={"age": 54}), ["age", "weight"]) == "age = 54.0"


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=4))
def test_every_value_comes_back(values):
    names = [f"v{i}" for i in range(len(values))]
    label = value_label(image(values=dict(zip(names, values, strict=True))), names)
    assert [values_of([label], name)[0] for name in names] == values
    assert np.isnan(values_of([None, label], "other")).all()


def test_few_values_are_strata_of_their_own_in_their_order():
    found = strata([f"grade = {v}" for v in (4.0, 0.0, 10.0, 4.0)] + [None], "grade")
    assert found.names.tolist() == ["4", "0", "10", "4", None]
    assert found.ordered == ("0", "4", "10")


def test_many_values_are_cut_into_bins_of_as_many_images():
    values = np.random.default_rng(0).normal(50, 10, 100)
    found = strata([f"age = {v!r}" for v in values.tolist()], "age")
    _, counts = np.unique(found.names.astype(str), return_counts=True)
    assert sorted(counts.tolist()) == [20, 20, 20, 20, 20]
    assert len(found.ordered) == 5
