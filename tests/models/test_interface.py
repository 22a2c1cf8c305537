"""One interface for every classifier, which leaves the classifier as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import xattn
from tests.models.nets import CLASSES, SIZE, Brightness, Conv, plain, with_statistics, wrapped
from xattn.errors import CheckpointError, ImageError, UsageError
from xattn.images import Preprocessing


class TestWrapping:
    def test_takes_any_module(self):
        model = xattn.wrap(Conv(), classes=CLASSES, preprocessing=plain())
        assert model.classes == CLASSES
        assert model.architecture == "custom"
        assert repr(model) == "<xattn.Model custom, 2 classes, 32 x 48>"

    def test_expects_inputs_as_torchvision_evaluates_if_not_told(self):
        preprocessing = xattn.wrap(Conv(), classes=CLASSES).preprocessing
        assert preprocessing == Preprocessing((224, 224), "crop", 256)

    def test_with_another_number_of_classes_is_told_when_first_asked(self):
        model = xattn.wrap(Conv(), classes=["a", "b", "c"], preprocessing=plain())
        with pytest.raises(CheckpointError, match=r"3 logits for the classes a, b, c, .* gives 2"):
            _ = model.target_layer

    @pytest.mark.parametrize(
        ("classes", "words"),
        [
            (["a", "a"], "every class once, but got .a. more than once in a, a; give"),
            ("ab", "but got the text 'ab'"),
        ],
    )
    def test_with_names_that_could_not_be_columns_is_refused(self, classes, words):
        with pytest.raises(UsageError, match=words):
            xattn.wrap(Conv(), classes=classes)

    def test_leaves_a_module_in_training_in_training(self):
        net = with_statistics(Conv())
        model = wrapped(net)
        x = torch.randn(2, 3, *SIZE)
        first = model.logits(x)
        assert torch.equal(first, model.logits(x))  # batch norm did not move
        assert all(part.training for part in net.modules())
        assert not torch.equal(first, net(x))


class TestPreprocessing:
    def test_gives_one_normalised_input(self):
        model = wrapped(Conv())
        model.preprocessing = Preprocessing(SIZE, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
        image = Image.new("RGB", (7, 5), (255, 51, 102))
        x = model.preprocess(image)
        assert x.shape == (3, *SIZE)
        assert x.dtype == torch.float32
        expected = torch.tensor([(1 - 0.1) / 0.5, 0, (0.4 - 0.3) / 1])
        torch.testing.assert_close(x[:, 0, 0], expected)

    @pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
    def test_takes_images_of_any_mode(self, mode):
        image = Image.new("RGB", (7, 5), (255, 255, 255)).convert(mode)
        torch.testing.assert_close(wrapped(Conv()).preprocess(image), torch.ones(3, *SIZE))

    @pytest.mark.parametrize("shape", [(40, 60, 3), (40, 60)])
    def test_takes_arrays(self, shape):
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        model = wrapped(Conv())
        assert torch.equal(model.preprocess(pixels), model.preprocess(Image.fromarray(pixels)))

    def test_of_a_batch_equals_that_of_each(self):
        pixels = torch.randint(0, 256, (4, *SIZE, 3), dtype=torch.uint8)
        model = wrapped(Conv())
        together = model.normalise(pixels)
        assert together.shape == (4, 3, *SIZE)
        assert all(torch.equal(together[i], model.normalise(pixels[i])) for i in range(4))

    def test_is_in_the_models_precision(self):
        model = wrapped(Conv().to(torch.bfloat16))
        assert model.preprocess(np.zeros((4, 4, 3), np.uint8)).dtype == torch.bfloat16

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("a.jpg", r"the path a\.jpg; open it with PIL\.Image\.open"),
            (Path("x/a.png"), r"the path x/a\.png; open it"),
            (torch.zeros(3, 4, 4), r"Tensor of shape \(3, 4, 4\) and float32"),
            (np.zeros((2, 4, 4, 3), np.uint8), r"ndarray of shape \(2, 4, 4, 3\) and uint8"),
            (None, "NoneType"),
        ],
    )
    def test_names_what_is_no_image(self, given, told):
        with pytest.raises(ImageError, match=rf"Expected a PIL image, .*but got {told}"):
            wrapped(Conv()).preprocess(given)


def test_the_logits_of_a_batch_are_the_modules():
    net = Brightness()
    x = torch.rand(3, 3, *SIZE)
    torch.testing.assert_close(wrapped(net).logits(x), net(x))


def test_the_device_is_that_of_the_weights():
    assert wrapped(Conv()).device == torch.device("cpu")
    assert wrapped(Conv().to("meta")).device == torch.device("meta")


def test_a_notebook_shows_classes_input_and_target_layer():
    model = xattn.wrap(Conv(), classes=["a", "<b>"], preprocessing=Preprocessing(SIZE))
    shown = model._repr_html_()
    assert "a, &lt;b&gt;" in shown
    assert f"{SIZE[0]} x {SIZE[1]} pixels (height x width), whole image squashed" in shown
    assert model.target_layer in shown


def test_a_notebook_shows_a_model_that_cannot_be_explained():
    model = xattn.wrap(Conv(), classes=["a", "b", "c"], preprocessing=Preprocessing(SIZE))
    assert "none: Expected 3 logits" in model._repr_html_()
