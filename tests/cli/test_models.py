"""`xattn models`: the study's family at a glance, and what each yields."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

import xattn.cli
from xattn.attribution.registry import METHODS
from xattn.errors import MethodError
from xattn.images import Preprocessing
from xattn.models import ARCHITECTURES, Model, build, wrap


def listed(*arguments: str) -> dict[str, dict]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert xattn.cli.main(["models", "--json", *arguments]) == 0
    return {row["name"]: row for row in json.loads(out.getvalue())["architectures"]}


@pytest.fixture(scope="module")
def family() -> dict[str, dict]:
    """The list of all that are registered: every one is built for it."""
    return listed()


def test_the_whole_family_is_listed_with_its_costs(family):
    rows = family
    assert list(rows) == list(ARCHITECTURES)
    for kind in ("ga", "la", "ela", "conv"):
        for backbone in ("resnet18", "efficientnet_b0"):
            row = rows[f"{backbone}-{kind}"]
            assert row["parameters"] > rows[backbone]["parameters"]
            assert row["multiply_adds"] > rows[backbone]["multiply_adds"]
    for backbone in ("resnet18", "efficientnet_b0"):
        control = rows[f"{backbone}-conv"]["parameters"]
        assert control == pytest.approx(rows[f"{backbone}-ga"]["parameters"], rel=0.02)


@pytest.mark.slow
def test_the_list_says_what_the_methods_own_checks_say(family):
    for name, row in family.items():
        small = Preprocessing(size=(224, 224) if "patch" in name else (96, 96))
        model = wrap(build(name, 2).eval(), classes=["a", "b"], preprocessing=small)
        assert row["maps"] == [key for key in ("gradcam", "attention") if works(key, model)], name


def works(method: str, model: Model) -> bool:
    try:
        METHODS[method].check(model)
    except MethodError:
        return False
    return True


def test_any_network_of_timm_can_be_asked_for():
    rows = listed("test_resnet", "test_resnet-ela")
    assert "attention" not in rows["test_resnet"]["maps"]
    assert {"gradcam", "attention"} <= set(rows["test_resnet-ela"]["maps"])


def test_a_person_sees_a_table(capsys):
    assert xattn.cli.main(["models", "test_resnet-la"]) == 0
    said = capsys.readouterr().out
    assert "multiply-adds of an image of 224 x 224" in said
    assert "test_resnet-la" in said


def test_an_unknown_name_suggests_near_ones(capsys):
    assert xattn.cli.main(["models", "resnet18-gaa"]) == 2
    assert "did you mean 'resnet18-ga'" in capsys.readouterr().err
