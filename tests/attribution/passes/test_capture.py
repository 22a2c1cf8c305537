"""One pass equals plain autograd, and the model comes back exactly as it was."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

from tests.attribution.states import Snapshot, unsettle
from tests.models.nets import (
    SIZE,
    Conv,
    Tokens,
    swin,
    torchvision_vit,
    vit,
    with_statistics,
    wrapped,
)
from xattn.attribution.passes.capture import Captured, capture, capture_each
from xattn.errors import MethodError
from xattn.models import Model


def small_conv() -> Model:
    return wrapped(with_statistics(Conv()).eval())


MODELS: dict[str, Callable[[], Model]] = {
    "conv": small_conv,
    "resnet": lambda: wrapped(
        with_statistics(timm.create_model("test_resnet", num_classes=2)).eval()
    ),
    "efficientnet": lambda: wrapped(
        timm.create_model("test_efficientnet", num_classes=2).eval(), (64, 64)
    ),
    "vit": lambda: wrapped(vit()),
    "averaging vit": lambda: wrapped(vit(class_token=False, global_pool="avg")),
    "torchvision vit": lambda: wrapped(torchvision_vit(), (32, 32)),
    "swin": lambda: wrapped(swin(), (32, 32)),
    "multihead attention": lambda: wrapped(Tokens().eval(), target_layer="norm"),
}


def double(model: Model) -> Model:
    model.module.double()
    return model


def inputs(model: Model, n: int = 3) -> Tensor:
    dtype = next(model.module.parameters()).dtype
    return torch.randn(n, 3, *model.preprocessing.size, dtype=dtype)


def slow_twin(model: Model, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Record everything, image by image; the layer's output is copied before it goes on."""
    logits, activations, gradients = [], [], []

    def keep(_module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        output.retain_grad()
        kept.append(output)
        return output.clone()

    for image, target in zip(x, targets, strict=True):
        kept: list[Tensor] = []
        image = image[None].clone().requires_grad_(True)
        hook = model.module.get_submodule(model.target_layer).register_forward_hook(keep)
        result = model.module(image)
        hook.remove()
        model.module.zero_grad()
        result[0, target].backward()
        logits.append(result.detach())
        activations.append(model.target_layout.spatial(kept[0].detach()))
        gradients.append(model.target_layout.spatial(kept[0].grad))
    model.module.zero_grad()
    return torch.cat(logits), torch.cat(activations), torch.cat(gradients)


class TestThePass:
    @pytest.mark.parametrize("name", MODELS)
    def test_equals_the_slow_twin_in_float64(self, name):
        model = double(MODELS[name]())
        x, targets = inputs(model), torch.tensor([1, 0, 1])
        logits, activations, gradients = slow_twin(model, x, targets)
        found = capture(model, x, targets)
        assert torch.equal(found.targets, targets)
        torch.testing.assert_close(found.logits, logits, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.activations, activations, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.gradients, gradients, rtol=1e-10, atol=1e-12)
        assert gradients.abs().max() > 1e-8

    def test_explains_the_predicted_class_if_not_told(self):
        model = small_conv()
        x = inputs(model, 8)
        found = capture(model, x)
        assert torch.equal(found.targets, found.logits.argmax(1))
        told = capture(model, x, found.logits.argmax(1))
        assert torch.equal(found.gradients, told.gradients)

    def test_explains_the_predicted_class_where_the_target_is_minus_1(self):
        model = small_conv()
        x = inputs(model, 4)
        guess = capture(model, x).targets
        found = capture(model, x, torch.tensor([0, -1, 1, -1]))
        assert found.targets.tolist() == [0, int(guess[1]), 1, int(guess[3])]

    @pytest.mark.parametrize("name", MODELS)
    def test_gives_each_image_of_a_batch_what_it_gets_alone(self, name):
        model = double(MODELS[name]())
        x = inputs(model, 3)
        together = capture(model, x, torch.tensor([0, 1, 0]))
        alone = capture(model, x[1:2], torch.tensor([1]))
        torch.testing.assert_close(together.gradients[1:2], alone.gradients, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("name", MODELS)
    def test_of_several_targets_gives_each_what_it_gets_alone(self, name):
        model = double(MODELS[name]())
        x = inputs(model)
        wanted = [None, torch.tensor([0, 1, 1]), torch.tensor([1, 1, 1]), torch.tensor([0, -1, 0])]
        for targets, found in zip(wanted, capture_each(model, x, wanted), strict=True):
            alone = capture(model, x, targets)
            assert torch.equal(found.targets, alone.targets)
            torch.testing.assert_close(found.gradients, alone.gradients)
            assert torch.equal(found.activations, alone.activations)

    def test_can_keep_activations_without_gradients(self):
        model = small_conv()  # its in-place ReLU would overwrite what was not copied
        x = inputs(model)
        found = capture(model, x, gradients=False, activations=True)
        assert torch.equal(found.activations, capture(model, x).activations)
        assert found.gradients is None

    def test_is_not_fooled_by_a_relu_that_overwrites_the_layer(self):
        """`bn2` is followed by an in-place ReLU: what it gave has negative values."""
        found = capture(small_conv(), torch.randn(2, 3, *SIZE))
        assert found.activations.min() < 0

    def test_keeps_the_activation_of_a_layer_whose_output_is_used_twice(self):
        class Skip(Conv):
            def forward(self, x: Tensor) -> Tensor:
                x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
                return self.fc((x + self.relu(x.clone())).mean((2, 3)))

        model = double(wrapped(Skip().eval()))
        x, targets = inputs(model), torch.tensor([0, 1, 1])
        _, activations, gradients = slow_twin(model, x, targets)
        found = capture(model, x, targets)
        torch.testing.assert_close(found.activations, activations)
        torch.testing.assert_close(found.gradients, gradients)

    def test_explains_the_first_of_the_tensors_that_multihead_attention_gives(self):
        class Averaged(Tokens):
            def forward(self, x: Tensor) -> Tensor:
                return self.head(self.attend(self.tokens(x)).mean(1))

        model = wrapped(Averaged().eval())
        assert model.target_layer == "attention"
        found = capture(model, inputs(model))
        # The head is linear and the mean is over 25 tokens: every gradient is a row of its weights.
        expected = model.module.head.weight[found.targets] / 25
        torch.testing.assert_close(found.gradients[:, :, 0, 0], expected)

    def test_without_gradients_keeps_no_activations(self):
        found = capture(small_conv(), torch.randn(1, 3, *SIZE), gradients=False)
        assert found.activations is None
        with pytest.raises(ValueError, match="they were not asked for"):
            found.at_layer()

    @pytest.mark.parametrize("name", MODELS)
    def test_builds_no_graph_for_anybody_to_hold(self, name):
        found = capture(MODELS[name](), inputs(MODELS[name]()))
        tensors = [found.logits, found.activations, found.gradients]
        assert not any(t.requires_grad or t.grad_fn for t in tensors)

    def test_records_nothing_before_the_explained_layer(self):
        recorded: dict[str, bool] = {}

        class Watched(Conv):
            def forward(self, x: Tensor) -> Tensor:
                first = self.conv1(x)
                recorded["before"] = first.requires_grad
                last = self.bn2(self.conv2(self.relu(self.bn1(first))))
                recorded["after"] = last.requires_grad
                return self.fc(self.relu(last).mean((2, 3)))

        model = wrapped(Watched().eval())
        _ = model.target_layer
        capture(model, inputs(model))
        assert recorded == {"before": False, "after": True}


class TestTheCallersMode:
    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
    @pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "free"])
    @pytest.mark.parametrize("targets", [None, [1, 0, 1]], ids=["predicted", "told"])
    def test_does_not_change_the_result(self, mode, frozen, targets):
        model = small_conv()
        x = inputs(model)
        expected = capture(model, x, None if targets is None else torch.tensor(targets))
        model.module.requires_grad_(not frozen)
        with mode():
            told = None if targets is None else torch.tensor(targets)
            found = capture(model, x.clone(), told)
        assert torch.equal(found.activations, expected.activations)
        assert torch.equal(found.gradients, expected.gradients)

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
    def test_is_afterwards_as_it_was(self, mode):
        model = small_conv()
        with mode():
            before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            capture(model, inputs(model))
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
            with pytest.raises(RuntimeError):
                capture(model, inputs(model), torch.tensor([9, 9, 9]))
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


class TestTheModelComesBackAsItWas:
    @pytest.mark.parametrize("name", MODELS)
    def test_after_a_normal_pass(self, name):
        model = MODELS[name]()
        unsettle(model.module)
        before = Snapshot(model.module)
        attention = model.attention_layers
        capture(model, inputs(model), attention=attention)
        before.check(model.module)

    @pytest.mark.parametrize("name", MODELS)
    def test_after_a_target_that_does_not_exist(self, name):
        model = MODELS[name]()
        unsettle(model.module)
        _ = model.target_layer
        before = Snapshot(model.module)
        with pytest.raises(RuntimeError):
            capture(model, inputs(model), torch.tensor([99, 0, 0]))
        before.check(model.module)

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_after_a_module_that_raises(self, where):
        class Broken(Conv):
            armed = False

            def forward(self, x: Tensor) -> Tensor:
                x = self.relu(self.bn1(self.conv1(x)))
                if self.armed and where == "before":
                    raise RuntimeError("out of luck")
                x = self.relu(self.bn2(self.conv2(x)))
                if self.armed and where == "after":
                    raise RuntimeError("out of luck")
                return self.fc(x.mean((2, 3)))

        model = wrapped(Broken())
        unsettle(model.module)
        _ = model.target_layer
        model.module.armed = True
        before = Snapshot(model.module)
        grad = torch.is_grad_enabled()
        with pytest.raises(RuntimeError, match="out of luck"):
            capture(model, inputs(model))
        before.check(model.module)
        assert torch.is_grad_enabled() == grad

    def test_and_so_does_the_batch(self):
        model = small_conv()
        x = inputs(model)
        before = x.clone()
        capture(model, x)
        assert torch.equal(x, before)
        assert not x.requires_grad


class TestMemory:
    def test_does_not_grow_with_the_number_of_batches(self):
        model = wrapped(vit())
        x = inputs(model, 2)

        def tensors_after(n: int) -> int:
            for _ in range(n):
                capture(model, x, attention=model.attention_layers)
            gc.collect()
            return sum(issubclass(type(o), Tensor) for o in gc.get_objects())

        first = tensors_after(5)
        assert tensors_after(30) == first

    def test_is_free_without_the_garbage_collector(self):
        """No cycle keeps a batch alive until the collector comes round."""
        import weakref

        model = small_conv()
        capture(model, inputs(model))
        gc.disable()
        try:
            found = capture(model, inputs(model))
            kept = weakref.ref(found.activations)
            del found
            assert kept() is None
        finally:
            gc.enable()


class TestALayerThatCannotBeUsed:
    def model(self, net: nn.Module) -> Model:
        model = wrapped(net.eval())
        _ = model.target_layer  # found while all was well
        return model

    def test_because_it_was_skipped_says_so(self):
        class Shy(Conv):
            skip = False

            def forward(self, x: Tensor) -> Tensor:
                x = self.conv1(x)
                return self.fc((x if self.skip else self.bn2(self.conv2(x))).mean((2, 3)))

        model = self.model(Shy())
        model.module.skip = True
        with pytest.raises(
            MethodError, match="layer 'bn2' to run, but the forward pass skipped it"
        ):
            capture(model, inputs(model))

    @pytest.mark.parametrize("frozen", [True, False])
    def test_because_the_model_detaches_it_says_so(self, frozen):
        class Detaching(Conv):
            detach = False

            def forward(self, x: Tensor) -> Tensor:
                x = self.bn2(self.conv2(self.conv1(x))).mean((2, 3))
                return self.fc(x.detach() if self.detach else x)

        model = self.model(Detaching().requires_grad_(not frozen))
        model.module.detach = True
        with pytest.raises(MethodError, match="depend on 'bn2', but the model detaches them"):
            capture(model, inputs(model))


def test_evidence_is_what_the_methods_see():
    found = capture(small_conv(), torch.randn(2, 3, *SIZE))
    assert isinstance(found, Captured)
    activations, gradients = found.at_layer()
    assert activations.shape == gradients.shape == (2, 6, 8, 12)
