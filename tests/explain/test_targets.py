"""Which class a map explains."""

from __future__ import annotations

import pytest

from tests.models.nets import Conv, plain
from xattn.errors import UsageError
from xattn.explain.targets import target_rule
from xattn.models import wrap


def model(*classes: str):
    return wrap(Conv(), classes=classes or ("benign", "malignant"), preprocessing=plain())


def test_the_predicted_class_is_left_to_the_pass():
    assert target_rule(model(), "predicted", {})("a") is None


@pytest.mark.parametrize(("target", "index"), [("malignant", 1), ("benign", 0), ("1", 1), ("0", 0)])
def test_a_class_is_meant_by_its_name_or_its_index(target, index):
    assert target_rule(model(), target, {})("any image") == index


def test_a_name_goes_before_an_index():
    assert target_rule(model("1", "0"), "1", {})("a") == 0


@pytest.mark.parametrize("target", ["2", "-1", "1.0", "²", "Malignant", ""])
def test_anything_else_is_refused_with_the_names(target):
    with pytest.raises(UsageError, match=f"Unknown target {target!r}.*malignant"):
        target_rule(model(), target, {})


def test_a_near_name_is_suggested():
    with pytest.raises(UsageError, match="did you mean 'malignant'"):
        target_rule(model(), "malignat", {})


class TestTheLabel:
    def test_is_explained_where_there_is_one(self):
        rule = target_rule(model(), "label", {"a": "malignant", "b": "benign", "c": None})
        assert [rule(image) for image in "abcd"] == [1, 0, None, None]

    def test_that_is_no_class_leaves_the_predicted_one(self):
        rule = target_rule(model(), "label", {"a": "malignant", "b": "nevus", "c": "1"})
        assert [rule(image) for image in "abc"] == [1, None, None]

    @pytest.mark.parametrize("labels", [{}, {"a": None}])
    def test_must_be_there_for_some_image(self, labels):
        with pytest.raises(UsageError, match="annotations with labels for target 'label'"):
            target_rule(model(), "label", labels)

    def test_must_be_a_class_for_some_image(self):
        with pytest.raises(UsageError, match=r"classes benign, malignant .* but got MEL, NV"):
            target_rule(model(), "label", {"a": "NV", "b": "MEL"})
