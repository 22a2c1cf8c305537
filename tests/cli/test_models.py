"""`xattn models`: the study's family at a glance, and what each yields."""

from __future__ import annotations

import json

import pytest

import xattn.cli
from xattn.models import ARCHITECTURES


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict]:
    assert xattn.cli.main(["models", "--json", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)["architectures"]
    return {row["name"]: row for row in rows}


def test_the_whole_family_is_listed_with_its_costs(capsys):
    rows = listed(capsys)
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
def test_the_list_says_what_the_methods_own_checks_say(capsys):
    at_a_glance = {name: row["maps"] for name, row in listed(capsys).items()}
    tried = {name: row["maps"] for name, row in listed(capsys, *ARCHITECTURES).items()}
    main = {n: [m for m in maps if m in ("gradcam", "attention")] for n, maps in tried.items()}
    assert main == at_a_glance


def test_any_network_of_timm_can_be_asked_for(capsys):
    rows = listed(capsys, "test_resnet", "test_resnet-ela")
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
