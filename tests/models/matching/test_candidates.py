"""A hint names every architecture that the weights fill, what sets them apart, and none twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from xattn.errors import CheckpointError
from xattn.models import load
from xattn.models.matching.candidates import describe, others
from xattn.models.matching.fingerprints import candidates
from xattn.models.matching.state import skeleton


def weights_of(path: Path, name: str, prefix: str = "") -> Path:
    state = skeleton(name, 2).state_dict()
    torch.save({prefix + k: torch.zeros(v.shape, dtype=v.dtype) for k, v in state.items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.net."])
def test_twins_are_all_named_with_what_differs(tmp_path, prefix):
    path = weights_of(tmp_path / "m.pt", "tf_efficientnet_b0", prefix)
    with pytest.raises(CheckpointError) as error:
        load(path, classes=["a", "b"])
    told = str(error.value)
    for words in ("tf_efficientnet_b0 (padding as TensorFlow, eps 0.001", "efficientnet_b0 (padd",
                  "symmetric, eps 1e-05", "the weights cannot tell"):  # fmt: skip
        assert words in told
    assert "\n" not in told


def test_twins_that_differ_in_how_images_are_read_are_told_apart_by_it(tmp_path):
    path = weights_of(tmp_path / "m.pt", "deit_tiny_patch16_224")
    with pytest.raises(CheckpointError, match=r"deit_tiny_patch16_224 \(.*mean 0\.485") as error:
        load(path, classes=["a", "b"])
    assert "vit_tiny_patch16_224 (" in str(error.value)
    assert "mean 0.5," in str(error.value)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("deit_tiny_patch16_224", "vit_tiny_patch16_384"),
        ("vit_tiny_patch16_384", "vit_tiny_patch16_224"),
        ("deit3_small_patch16_384", "deit3_small_patch16_224"),
    ],
)
def test_a_twin_of_another_size_than_the_weights_tell_is_not_named(tmp_path, name, other):
    path = weights_of(tmp_path / "m.pt", name)
    with pytest.raises(CheckpointError) as error:
        load(path, classes=["a", "b"])
    assert f"{name} (" in str(error.value) or f"--arch {name}" in str(error.value)
    assert other not in str(error.value)


@pytest.mark.parametrize("arch", ["test_resnet", "timm/test_resnet"])
def test_the_name_that_was_tried_is_not_suggested_again(tmp_path, arch):
    state = timm.create_model("test_resnet", num_classes=2).state_dict()
    torch.save({**state, "gate": torch.ones(1)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError) as error:
        load(tmp_path / "m.pt", arch=arch, classes=["a", "b"])
    assert "--arch" not in str(error.value)


def test_a_given_name_is_checked_for_others_that_compute_something_else():
    state = skeleton("efficientnet_b0", 2).state_dict()
    also = others(state, "efficientnet_b0")
    assert also is not None
    assert "tf_efficientnet_b0 (padding as TensorFlow" in also
    assert "taken is efficientnet_b0 (padding symmetric" in also
    assert others(skeleton("test_resnet", 2).state_dict(), "test_resnet") is None


def test_one_alone_needs_no_words():
    assert describe(["test_resnet"]) == ["test_resnet"]


@pytest.mark.parametrize(
    "name",
    ["resnet18", "test_vit", "test_convnext", "torchvision/mobilenet_v2", "resnet18-ga",
     "swin_tiny_patch4_window7_224"],
)  # fmt: skip
def test_an_architecture_is_among_its_own_candidates(name):
    assert name in candidates(skeleton(name, 7).state_dict())


@pytest.mark.slow
def test_fingerprints_are_of_the_installed_libraries():
    """Any name at random; `python -m xattn.models.matching.fingerprints` writes them anew."""
    generator = torch.Generator().manual_seed(0)
    names = timm.list_models()
    for i in torch.randperm(len(names), generator=generator)[:25].tolist():
        try:
            state = skeleton(names[i], 3).state_dict()
        except Exception:
            continue
        assert names[i] in candidates(state)
