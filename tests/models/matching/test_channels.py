"""How many channels a network takes is found from its first layer, and what is said is held to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import xattn
from tests.models.nets import CLASSES
from xattn.errors import CheckpointError, ImageError, UsageError
from xattn.models.architectures.registry import build

SIZE = (32, 32)


def network(channels: int) -> nn.Module:
    torch.manual_seed(channels)
    net = build("test_resnet", 2)
    net.conv1[0] = nn.Conv2d(channels, net.conv1[0].out_channels, 3, 2, 1, bias=False)
    return net.eval()


def saved(path, channels, script=False):
    net = network(channels)
    if script:
        torch.jit.trace(net, torch.zeros(1, channels, *SIZE)).save(path)
    else:
        torch.save(net.state_dict(), path)
    return net


@pytest.mark.parametrize("channels", [2, 4, 7])
@pytest.mark.parametrize("script", [False, True])
def test_a_file_has_the_logits_of_its_network(tmp_path, channels, script):
    net = saved(tmp_path / "x.pt", channels, script)
    model = xattn.load(
        tmp_path / "x.pt", arch="test_resnet", classes=CLASSES, size=SIZE, input_mode="squash"
    )
    assert model.preprocessing.channels == channels
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, channels), dtype=np.uint8)
    inputs = torch.from_numpy(image / 255).float().movedim(-1, 0)[None]
    torch.testing.assert_close(model.preprocess(image)[None], inputs)
    torch.testing.assert_close(model.logits(inputs), net(inputs), atol=1e-4, rtol=1e-4)
    assert f"takes {channels} channels, as its first layer shows" in model.source["notes"]
    assert any(f"those of {channels} channels" in one for one in model.source["guesses"])


def test_a_network_in_memory_too():
    model = xattn.wrap(network(5), classes=CLASSES)
    assert model.preprocessing.channels == 5
    maps = xattn.attribute(model, torch.rand(2, 5, *model.preprocessing.size), "gradcam")
    assert maps.isfinite().all()


def test_mean_and_deviation_are_one_number_or_one_for_each(tmp_path):
    saved(tmp_path / "x.pt", 4)
    said = {"arch": "test_resnet", "classes": CLASSES, "size": SIZE}
    model = xattn.load(tmp_path / "x.pt", **said, mean=(0.5,), std=(0.1, 0.2, 0.3, 0.4))
    assert model.preprocessing.mean == (0.5,) * 4
    assert not model.source["guesses"]
    with pytest.raises(UsageError, match=r"Expected 1 number or 4 for --std, .* but got 3"):
        xattn.load(tmp_path / "x.pt", **said, std=(0.1, 0.2, 0.3))


@pytest.mark.parametrize(("taken", "said"), [(4, 5), (3, 4), (1, 4), (4, 1)])
def test_channels_that_the_first_layer_has_not_are_refused(tmp_path, taken, said):
    saved(tmp_path / "x.pt", taken)
    with pytest.raises(CheckpointError, match=rf"of {said} channels, .* takes {taken}; leave"):
        xattn.load(tmp_path / "x.pt", arch="test_resnet", classes=CLASSES, channels=said)


def test_an_image_of_other_channels_is_refused_with_both_numbers():
    model = xattn.wrap(network(5), classes=CLASSES)
    with pytest.raises(ImageError, match=r"\(H, W, 5\), .* 5 channels, but got \(40, 40, 3\)"):
        model.preprocess(np.zeros((40, 40, 3), np.uint8))


@pytest.mark.parametrize(
    "method", ["gradcam", "occlusion", "gradient-shap", "integrated-gradients", "lrp", "scorecam"]
)
def test_methods_explain_it(method):
    model = xattn.wrap(network(4), classes=CLASSES)
    model = xattn.wrap(network(4), classes=CLASSES, preprocessing=model.preprocessing.at(SIZE))
    maps = xattn.attribute(model, torch.rand(1, 4, *SIZE), method, target=1)
    assert maps.isfinite().all()
    assert maps.abs().max() > 0


def test_a_preprocessing_is_of_as_many_channels_or_one_number_for_all(tmp_path):
    from xattn.images import Preprocessing

    saved(tmp_path / "x.pt", 4)
    said = {"arch": "test_resnet", "classes": CLASSES}
    one, three = (Preprocessing(SIZE, mean=(0.5,) * n, std=(0.2,) * n) for n in (1, 3))
    for model in (
        xattn.load(tmp_path / "x.pt", **said, preprocessing=one),
        xattn.wrap(network(4), classes=CLASSES, preprocessing=one),
    ):
        assert model.preprocessing.mean == (0.5,) * 4
    grey = xattn.wrap(network(1), classes=CLASSES, preprocessing=one)
    assert grey.preprocessing.mean == (0.5,) * 3  # which it sees in grey
    told = "of 4 channels, as the network takes, but got one of 3"
    with pytest.raises(UsageError, match=told):
        xattn.load(tmp_path / "x.pt", **said, preprocessing=three)
    with pytest.raises(UsageError, match=told):
        xattn.wrap(network(4), classes=CLASSES, preprocessing=three)
