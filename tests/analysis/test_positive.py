import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xattn.analysis.positive import REST, Positive
from xattn.errors import UsageError

SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_the_last_of_two_classes_is_positive_unless_another_is_named():
    assert Positive.of(["benign", "malignant"]).name == "malignant"
    named = Positive.of(["benign", "malignant"], "benign")
    assert (named.name, named.side, named.sides) == ("benign", 0, ("benign", "malignant"))
    assert not named.against_rest
    assert named.sentence == ""


@pytest.mark.parametrize("classes", [SEVEN[:1], SEVEN[:3], SEVEN, (*SEVEN, "scc")])
def test_without_a_name_no_class_of_one_or_more_than_two_is_positive(classes):
    every = Positive.of(classes)
    assert every.each
    assert every.name == ""
    assert every.sides == classes
    assert every.side_of.tolist() == list(range(len(classes)))


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("mel", "mel"),
        (["mel"], "mel"),
        ("mel,bcc", "bcc or mel"),
        ("mel, bcc", "bcc or mel"),
        (["mel", "bcc"], "bcc or mel"),
        (["mel,bcc", "mel"], "bcc or mel"),
    ],
)
def test_classes_are_named_one_by_one_or_comma_separated(named, name):
    found = Positive.of(SEVEN, named)
    assert found.name == name
    assert found.sides == (REST, name)
    assert found.side == 1
    assert f"{name} against the rest: akiec" in found.sentence


def test_a_class_may_have_a_comma_in_its_name_and_another_may_be_called_rest():
    assert Positive.of(["a,b", "a", "b"], "a,b").members == ("a,b",)
    assert Positive.of(["rest", "stress", "nap"], "nap").sides == ("the rest", "nap")


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("mell", "Unknown class 'mell'.*'mel'"),
        (["mel", "bccc"], "Unknown class 'bccc'.*'bcc'"),
        (",", "Expected a class of akiec, bcc"),
        (",".join(SEVEN), "Expected a class beside the positive ones"),
    ],
)
def test_what_is_no_choice_of_classes_is_refused_in_one_line(named, says):
    with pytest.raises(UsageError, match=says) as caught:
        Positive.of(SEVEN, named)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(SEVEN), min_size=1, max_size=6))
def test_log_odds_are_those_of_the_summed_probabilities(seed, members):
    logits = np.random.default_rng(seed).normal(size=(5, 7)) * 3
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    inside = np.isin(SEVEN, sorted(members))
    expected = np.log(p[:, inside].sum(axis=1) / p[:, ~inside].sum(axis=1))
    assert Positive.of(SEVEN, sorted(members)).log_odds(logits) == pytest.approx(expected)
