"""Methods for targets, and the names their maps are stored by."""

from __future__ import annotations

import pytest

from tests.models.nets import Conv, vit, wrapped
from xattn.attribution.run.plan import make_plan
from xattn.errors import MethodError, UsageError


def names(methods: list[str], targets: list[str]) -> list[str]:
    return list(make_plan(wrapped(vit()), methods, targets, {"a": "benign"}).jobs)


def test_each_method_is_made_for_each_target():
    found = names(["gradcam", "layercam"], ["predicted", "malignant"])
    assert found == ["gradcam", "layercam", "gradcam@malignant", "layercam@malignant"]


def test_maps_of_no_class_are_made_once():
    found = names(["gradcam", "attention", "eigencam"], ["predicted", "malignant"])
    assert found == ["gradcam", "attention", "eigencam", "gradcam@malignant"]


def test_a_method_can_be_asked_for_one_further_target():
    found = names(["gradcam", "layercam", "layercam@1"], ["predicted"])
    assert found == ["gradcam", "layercam", "layercam@malignant"]


@pytest.mark.parametrize("targets", [["predicted"], ["label", "all"], ["1", "predicted", "benign"]])
def test_stored_names_make_the_same_plan_again(targets):
    first = names(["xgradcam", "eigencam", "gradcam"], targets)
    assert names(first, targets[:1]) == first


def test_a_targets_own_maps_are_the_plain_ones():
    assert names(["gradcam@predicted", "gradcam"], ["predicted"]) == ["gradcam"]


def test_no_methods_are_no_jobs():
    assert names([], ["predicted", "malignant"]) == []


@pytest.mark.parametrize("name", ["gradcm", "gradcm@benign", "gradcam@melanoma", "gradcam@"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(UsageError, match="Unknown"):
        names([name], ["predicted"])


class TestAMethodThatMakesNoSense:
    def test_is_left_out_with_the_reason_and_the_others_go_on(self):
        plan = make_plan(wrapped(Conv()), ["gradcam", "attention", "rollout"], ["all"], {})
        assert list(plan.jobs) == ["gradcam", "gradcam@benign", "gradcam@malignant"]
        assert set(plan.left_out) == {"attention", "rollout"}
        assert "needs attention layers" in plan.left_out["rollout"]

    def test_alone_is_refused(self):
        with pytest.raises(MethodError, match="needs attention layers"):
            make_plan(wrapped(Conv()), ["attention", "rollout"], ["predicted"], {})

    def test_is_not_what_a_layer_that_cannot_be_explained_makes_of_it(self):
        model = wrapped(vit(), target_layer="blocks.1.norm2")
        with pytest.raises(MethodError, match="would be zero"):
            make_plan(model, ["gradcam", "attention"], ["predicted"], {})

    def test_is_the_same_when_stored_names_are_asked_for_again(self):
        model = wrapped(Conv())
        first = make_plan(model, ["gradcam", "rollout"], ["all"], {})
        assert list(make_plan(model, list(first.jobs), ["predicted"], {}).jobs) == list(first.jobs)
