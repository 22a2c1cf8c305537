"""Which class a map explains."""

from __future__ import annotations

import pytest
from torch import nn

from tests.models.nets import Conv, plain
from xattn.attribution.targets import list_targets, target_rule
from xattn.errors import UsageError
from xattn.models import wrap


def model(*classes: str):
    names = classes or ("benign", "malignant")
    net = Conv()
    net.fc = nn.Linear(6, len(names))
    return wrap(net, classes=names, preprocessing=plain())


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


class TestSeveralTargets:
    def stored(self, wanted: list[str], *classes: str) -> list[str]:
        labels = {"a": "malignant"}
        return [t.stored("m") for t in list_targets(model(*classes), wanted, labels)]

    def test_the_first_gives_the_plain_name_and_others_a_suffix(self):
        assert self.stored(["label", "predicted", "1"]) == ["m", "m@predicted", "m@malignant"]

    def test_each_is_there_once_whatever_it_is_called(self):
        assert self.stored(["malignant", "1", "malignant"]) == ["m"]

    def test_all_is_every_class_after_the_predicted_one(self):
        assert self.stored(["all"]) == ["m", "m@benign", "m@malignant"]

    def test_all_comes_after_what_was_named_first(self):
        assert self.stored(["malignant", "all"]) == ["m", "m@benign"]

    def test_a_class_called_all_is_that_class(self):
        assert self.stored(["benign", "all"], "benign", "all", "other") == ["m", "m@all"]

    @pytest.mark.parametrize("odd", ["a/b", "..", "a@b", "a\\b", "x\ny", " "])
    def test_a_name_that_no_folder_can_bear_is_an_index(self, odd):
        assert self.stored(["predicted", odd], "benign", odd) == ["m", "m@1"]

    def test_names_that_differ_in_case_alone_are_indices(self):
        assert self.stored(["all"], "NV", "nv", "MEL") == ["m", "m@0", "m@1", "m@MEL"]

    def test_none_is_refused(self):
        with pytest.raises(UsageError, match="Expected a target, but got none"):
            self.stored([])

    def test_the_rule_is_that_of_the_target(self):
        first, second = list_targets(model(), ["predicted", "malignant"], {})
        assert (first.rule("a"), second.rule("a")) == (None, 1)
