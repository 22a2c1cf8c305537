"""A list of findings as one label, and what the label says of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xattn.annotations import AnnotatedImage
from xattn.annotations.findings import answers, label_of, shows

FILE = Path("x.png")
DECLARED = ["effusion", "mass", "edema"]


def image(**known) -> AnnotatedImage:
    return AnnotatedImage("x", FILE, **known)


def of_findings(one: AnnotatedImage) -> str | None:
    return label_of(one, ["mass", "edema", "fracture"], DECLARED, exclusive=False)


def test_a_label_names_what_is_there_and_marks_what_is_not_known():
    assert of_findings(image(findings=("effusion", "mass"))) == "effusion; mass; fracture?"
    assert of_findings(image(findings=("mass",), unknown=("edema",))) == "mass; edema?; fracture?"
    assert of_findings(image(label="edema")) == "edema; fracture?"
    assert of_findings(image()) is None
    assert label_of(image(findings=()), ["mass"], DECLARED, exclusive=False) == "none of them"


def test_what_the_file_does_not_declare_is_unknown_and_not_absent():
    labels = [of_findings(image(findings=())), None]
    assert shows(labels, "fracture").tolist() == [None, None]
    assert shows(labels, "mass").tolist() == [False, None]
    assert answers(["mass; edema?", "none of them"], "mass").tolist() == ["mass", "no mass"]
    assert answers(["mass; edema?", "none of them"], "edema").tolist() == [None, "no edema"]


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(
            lambda n: "?" not in n
        ),
        st.sampled_from([True, False, None]),
        min_size=1,
        max_size=5,
    ).filter(lambda d: len({n.replace(";", ",") for n in d}) == len(d))
)
def test_every_answer_comes_back(known):
    names = list(known)
    one = image(
        findings=tuple(n for n, is_there in known.items() if is_there),
        unknown=tuple(n for n, is_there in known.items() if is_there is None),
    )
    label = label_of(one, names, names, exclusive=False)
    assert [shows([label], name)[0] for name in names] == list(known.values())


@pytest.mark.parametrize(
    ("findings", "unknown", "expected"),
    [(("mass", "effusion"), (), "mass"), ((), (), "no mass"), (("effusion",), ("mass",), None)],
)
def test_a_model_of_one_finding_is_held_against_that_alone(findings, unknown, expected):
    one = image(findings=findings, unknown=unknown)
    for classes in (["no mass", "mass"], ["mass", "no mass"]):
        assert label_of(one, classes, DECLARED, exclusive=True) == expected


def test_classes_that_exclude_each_other_take_the_one_finding_that_is_a_class():
    classes = ["benign", "mass", "edema"]
    assert (
        label_of(image(findings=("mass", "effusion")), classes, DECLARED, exclusive=True) == "mass"
    )
    assert label_of(image(findings=("mass", "edema")), classes, DECLARED, exclusive=True) is None
    assert label_of(image(label="benign"), classes, DECLARED, exclusive=True) == "benign"
