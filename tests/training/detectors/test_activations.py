import numpy as np
import pytest
import timm
import torch
from PIL import Image

from xattn.errors import UsageError
from xattn.images.preprocessing import Preprocessing
from xattn.training.detectors.activations import pooled_activations, pretrained_backbone


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("lcnet_035", num_classes=2).eval()


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(5):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(paths[-1])
    return paths


SMALL = Preprocessing((64, 64))


def test_an_image_gives_the_same_columns_alone_and_among_others(network, files):
    together, _ = pooled_activations(network, SMALL, files, workers=0)
    alone, _ = pooled_activations(network, SMALL, files[3:4], workers=2)
    assert together.shape[0] == 5
    np.testing.assert_allclose(together[3], alone[0], rtol=1e-3, atol=1e-4)


def test_the_columns_are_those_of_the_stages_pooled_one_by_one(network, files):
    """The slow twin, of the first stage: mean, spread, largest."""
    found, _ = pooled_activations(network, SMALL, files[:1], workers=0)
    pixels = SMALL.pixels(Image.open(files[0])).astype(np.float32) / 255
    inputs = ((pixels - SMALL.mean) / SMALL.std).astype(np.float32).transpose(2, 0, 1)
    with torch.inference_mode():
        stage = network.forward_intermediates(torch.from_numpy(inputs)[None])[1][0][0].numpy()
    width = len(stage)
    flat = stage.reshape(width, -1)
    for place, expected in enumerate((flat.mean(1), flat.std(1, ddof=1), flat.max(1))):
        part = found[0, place * width : (place + 1) * width]
        np.testing.assert_allclose(part, expected, rtol=1e-3, atol=1e-4)


def test_an_image_that_cannot_be_read_has_no_columns_and_stops_no_other(network, files):
    files[2].write_bytes(b"no image")
    found, unread = pooled_activations(network, SMALL, files, workers=0)
    assert list(unread) == [2]
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, axis=0)).all()


def test_a_network_without_published_weights_is_refused():
    with pytest.raises(UsageError):
        pretrained_backbone("no-such-network")
