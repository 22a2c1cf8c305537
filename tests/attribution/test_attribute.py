"""Attribution in memory: the maps of a run, of a batch, in one call."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import xattn
from tests.attribution.on_disk import noise
from tests.attribution.states import Snapshot, unsettle
from tests.images.placed import shown_slowly
from tests.models.nets import CLASSES, SIZE, Conv, plain, vit, with_statistics, wrapped
from xattn.attribution.attribute import attribute, attribute_each
from xattn.attribution.methods.attention import Attention
from xattn.attribution.passes import capture
from xattn.attribution.registry import METHODS, method, methods
from xattn.errors import MethodError, UsageError
from xattn.images import read_image
from xattn.models import Model, wrap


def conv() -> Model:
    torch.manual_seed(0)
    return wrapped(with_statistics(Conv()).eval())


def works(name: str, model: Model) -> bool:
    try:
        METHODS[name].check(model)
    except MethodError:
        return False
    return True


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return [noise(folder / f"{i}.png", seed=i) for i in range(3)]


@pytest.mark.parametrize("net", [Conv, vit], ids=["convolutional", "transformer"])
def test_every_methods_maps_are_those_of_a_run(net, files, tmp_path):
    torch.manual_seed(0)
    model = wrapped(with_statistics(net()).eval())
    names = [name for name in METHODS if works(name, model)]
    names += ["attention[layer=0,head=1]", "rollout[head=0]"] * bool(model.attention_layers)
    run = xattn.explain(
        model, files, methods=names, out=tmp_path / "run", overlay="none", exact=True
    )
    images = [read_image(file).image for file in files]
    batch = torch.stack([model.preprocess(image) for image in images])
    for name in names:
        assert np.array_equal(attribute(model, batch, name).numpy(), run.maps(name)), name
    assert torch.equal(attribute(model, images), attribute(model, batch))


class TestTargets:
    def test_are_told_by_index_name_or_as_the_predicted_one(self):
        model, x = conv(), torch.randn(3, 3, *SIZE)
        predicted = model.logits(x).argmax(1)
        second = attribute(model, x, "hirescam", 1)
        assert torch.equal(attribute(model, x, "hirescam", "malignant"), second)
        assert torch.equal(attribute(model, x, "hirescam", "1"), second)
        expected = attribute(model, x, "hirescam", predicted)
        assert torch.equal(attribute(model, x, "hirescam"), expected)
        assert torch.equal(attribute(model, x, "hirescam", "predicted"), expected)
        assert torch.equal(attribute(model, x, "hirescam", torch.tensor(1)), second)

    def test_may_differ_from_image_to_image(self):
        model, x = conv(), torch.randn(3, 3, *SIZE)
        first, second = (attribute(model, x, "hirescam", c) for c in (0, 1))
        for mixed in ([0, "malignant", 0], torch.tensor([0, 1, 0]), np.array([0, 1, 0])):
            found = attribute(model, x, "hirescam", mixed)
            expected = torch.stack([first[0], second[1], first[2]])
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (2, "Expected a class from 0 to 1, but got 2"),
            (-1, "Expected a class from 0 to 1, but got -1"),
            ("malignat", "Unknown target 'malignat'; did you mean 'malignant'"),
            ("label", "Unknown target 'label'; known: benign, malignant"),
            (True, "Unknown target True"),
            (1.0, "Unknown target 1.0"),
            ([0, 1], "Expected a target for each of 3 images, but got 2"),
        ],
    )
    def test_that_are_none_are_named(self, target, message):
        with pytest.raises(UsageError, match=message):
            attribute(conv(), torch.randn(3, 3, *SIZE), "gradcam", target)

    def test_must_be_named_where_outputs_are_independent(self):
        model = wrap(Conv(), classes=CLASSES, preprocessing=plain(), outputs="sigmoid")
        x = torch.randn(2, 3, *SIZE)
        with pytest.raises(UsageError, match="are independent"):
            attribute(model, x)
        assert attribute(model, x, target="malignant").shape == (2, *model.target_layout.grid)


class TestInputs:
    def test_are_images_of_any_size_one_or_several(self):
        model = conv()
        pixels = np.random.default_rng(0).integers(0, 256, (2, 60, 40, 3), dtype=np.uint8)
        both = attribute(model, pixels)
        assert both.shape == (2, *model.target_layout.grid)
        assert torch.equal(attribute(model, [*map(Image.fromarray, pixels)]), both)
        for one in (pixels[0], Image.fromarray(pixels[0])):
            torch.testing.assert_close(attribute(model, one), both[:1])

    def test_of_another_float_type_are_taken_as_the_models(self):
        model, x = conv(), torch.randn(2, 3, *SIZE)
        assert torch.equal(attribute(model, x.double()), attribute(model, x))

    @pytest.mark.parametrize(
        ("batch", "message"),
        [
            (
                torch.zeros(2, 3, 8, 8),
                r"\(n, 3, 32, 48\) of floats.*but got float32 \(2, 3, 8, 8\)",
            ),
            (torch.zeros(3, *SIZE), r"but got float32 \(3, 32, 48\)"),
            (torch.zeros(2, 3, *SIZE, dtype=torch.uint8), r"but got uint8 .*PIL images or arrays"),
            ([], "Expected an image, but got none"),
        ],
    )
    def test_that_the_model_does_not_take_are_refused(self, batch, message):
        with pytest.raises(UsageError, match=message):
            attribute(conv(), batch)


class TestANetworkThatIsNoModel:
    def test_is_explained_at_the_size_of_its_inputs(self):
        model, x = conv(), torch.randn(2, 3, *SIZE)
        found = attribute(model.module, x, "gradcam", 1)
        assert torch.equal(found, attribute(model, x, "gradcam", 1))
        larger = attribute(model.module, torch.randn(2, 3, 64, 64), "saliency")
        assert larger.shape == (2, 64, 64)

    def test_comes_back_as_it_was(self):
        net = Conv()
        unsettle(net)
        before = Snapshot(net)
        attribute(net, torch.randn(2, 3, *SIZE), target=0)
        before.check(net)

    def test_of_one_logit_has_two_classes(self):
        net = Conv()
        net.fc = nn.Linear(net.fc.in_features, 1)
        x = torch.randn(2, 3, *SIZE)
        first, second = (attribute(net.eval(), x, "hirescam", c) for c in (0, 1))
        torch.testing.assert_close(first, -second)

    def test_is_wrapped_where_it_must_know_more(self):
        class Named(Conv):
            def forward(self, x):
                return {"logits": super().forward(x)}

        with pytest.raises(UsageError, match=r"logits \(n, classes\), but it returns .*\.wrap"):
            attribute(Named(), torch.randn(2, 3, *SIZE))
        with pytest.raises(UsageError, match=r"Expected a Tensor .*xattn\.wrap"):
            attribute(Conv(), np.zeros((60, 40, 3), np.uint8))
        with pytest.raises(UsageError, match=r"Expected a model or a torch\.nn\.Module"):
            attribute("model.pt", torch.randn(2, 3, *SIZE))


class TestMethods:
    def test_are_told_by_name_with_options_or_given(self):
        model, x = wrapped(vit()), torch.randn(2, 3, *SIZE)
        found = attribute(model, x, "attention[layer=0,head=1]")
        assert torch.equal(attribute(model, x, Attention(layer=0, head=1)), found)
        assert torch.equal(attribute(model, x, method("attention[layer=0,head=1]")), found)

    @pytest.mark.parametrize(
        ("name", "error", "message"),
        [
            ("gradcm", UsageError, "Unknown method 'gradcm'"),
            ("gradcam@benign", UsageError, "Unknown method 'gradcam@benign'"),
            ("attention[layer=all]", MethodError, "Expected one layer and one head"),
            ("lrp", MethodError, "use integrated-gradients"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, name, error, message):
        with pytest.raises(error, match=message):
            attribute(wrapped(vit()), torch.randn(1, 3, *SIZE), name)


@pytest.mark.parametrize("name", ["gradcam", "attention[layer=0]", "gradient-rollout", "saliency"])
def test_upsampled_maps_lie_where_their_cells_look(name):
    model, x = wrapped(vit()), torch.randn(2, 3, *SIZE)
    maps, cells = attribute(model, x, name), method(name).cells(model)
    large = attribute(model, x, name, upsample=True)
    assert large.shape == (2, *SIZE)
    expected = shown_slowly(maps[0].double().numpy(), cells, *SIZE)
    np.testing.assert_allclose(large[0].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_several_methods_and_targets_take_one_forward_pass(monkeypatch):
    model, x = wrapped(vit()), torch.randn(2, 3, *SIZE)
    jobs = {"a": (method("gradcam"), 0), "b": (method("gradcam"), 1), "c": (method("attention"), 0)}
    targets = [None, torch.tensor([1, 1])]
    expected = {"a": attribute(model, x), "b": attribute(model, x, target=1)}
    expected["c"] = attribute(model, x, "attention")
    passes = []
    model.module.register_forward_pre_hook(lambda *_: passes.append(1))
    captured, maps = attribute_each(model, x, jobs, targets)
    assert len(passes) == 1
    assert [each.targets.tolist() for each in captured][1] == [1, 1]
    assert set(captured[0].attention) == {model.attention_layers[-1]}
    for name, found in maps.items():
        torch.testing.assert_close(found, expected[name])


def test_no_methods_need_nothing_but_the_logits(monkeypatch):
    model, x = wrapped(vit()), torch.randn(2, 3, *SIZE)
    monkeypatch.setattr(capture, "hook_attention", lambda *_, **__: {})
    (captured,), maps = attribute_each(model, x, {}, [None])
    assert maps == {}
    assert captured.activations is None
    torch.testing.assert_close(captured.logits, model.logits(x))


@pytest.mark.parametrize("function", [attribute, methods])
def test_the_example_of_the_docstring_is_run(function):
    (example,) = doctest.DocTestFinder().find(function, globs={})
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
