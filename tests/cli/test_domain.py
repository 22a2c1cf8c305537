"""The domain of images decides what is measured, and every command says what it left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import xattn
import xattn.cli
from tests.images.test_domains import drawn
from xattn.annotations import read_annotations
from xattn.runs import RunFolder
from xattn.runs.tables import TABLES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder per class of images that look like tissue, with outlines of something in each."""
    rng = np.random.default_rng(0)
    for name in ("normal", "tumor"):
        for part in ("images", "masks"):
            (tmp_path / part / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(drawn("tissue", rng)).save(tmp_path / f"images/{name}/{name}{i}.png")
            mask = np.zeros((96, 128), np.uint8)
            mask[30:70, 40:90] = 255
            Image.fromarray(mask).save(tmp_path / f"masks/{name}/{name}{i}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> None:
    assert xattn.cli.main(list(words)) == 0


@pytest.mark.parametrize(
    ("option", "domain", "said"),
    [
        ([], "tissue", True),
        (["--domain", "natural"], "natural", False),
    ],
)
def test_build_stores_what_the_images_look_like_or_what_it_is_told(
    folder, capsys, option, domain, said
):
    run("annotations", "build", "images", "--lesion-masks", "masks", *option)
    assert read_annotations("isic_attributes.json").domain == domain
    told = "domain: tissue, as the images look; --domain names another"
    assert (told in capsys.readouterr().out) == said


def test_an_unknown_domain_is_refused_in_one_line(folder, capsys):
    words = ["annotations", "build", "images", "--domain", "radiology"]
    assert xattn.cli.main(words) == 2
    assert "Unknown domain 'radiology'; did you mean 'radiograph'" in capsys.readouterr().err
    content = {"schema": "xattn-annotations/1", "domain": "xray", "images": []}
    (folder / "a.json").write_text(json.dumps(content))
    assert xattn.cli.main(["annotations", "check", "a.json"]) == 1
    assert "domain: Expected a domain, but got 'xray'" in capsys.readouterr().err


def test_usage_measures_what_is_for_the_domain_and_says_what_is_not(folder, capsys):
    from torchvision.models import resnet18

    run("annotations", "build", "images", "--lesion-masks", "masks")
    model = xattn.wrap(resnet18(num_classes=2).eval(), classes=["normal", "tumor"])
    made = xattn.explain(
        model, "images", methods=["gradcam"], annotations="isic_attributes.json", out="r",
        overlay="none",
    )  # fmt: skip
    few = {"permutations": 19, "bootstrap": 99, "interventions": 0, "model": model}
    usage = xattn.feature_usage(made, "isic_attributes.json", detect=True, **few)
    told = [note for note in usage.notes if "Images of the domain 'tissue'" in note]
    assert len(told) == 1
    assert "skin_tone" in told[0]
    assert "hair.detected" in told[0]
    assert not {"skin_tone", "shape_asymmetry", "hair.detected"} & set(usage.usage["feature"])
    again = xattn.feature_usage(made, "isic_attributes.json", domain="dermoscopy", **few)
    assert {"skin_tone", "shape_asymmetry"} <= set(again.usage["feature"])
    assert not [note for note in again.notes if "domain" in note]
    assert set(TABLES["feature_usage"].always) <= set(RunFolder.open("r").table("feature_usage"))
