"""The network after its explained layer, run on its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
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
from xattn.attribution.passes.capture import capture
from xattn.attribution.passes.partial_forward import partial_forward
from xattn.models import Model


class Glued(Conv):
    """A skip around the explained layer, and a ReLU in place that no module shows."""

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.bn1(self.conv1(x)), inplace=True)
        second = self.bn2(self.conv2(first))
        return self.fc(F.relu(second + F.avg_pool2d(first, 2), inplace=True).mean((2, 3)))


class Norms(nn.Module):
    """One module that runs before and after the explained layer."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 4, 8, 8)
        self.norm = nn.GroupNorm(2, 4)
        self.mixed = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.mixed(self.norm(self.cells(x)))).tanh().mean((2, 3)))


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2 * len(x), -1, *x.shape[2:])


class Windows(Conv):
    """Before the explained layer, a module whose output has not one entry per image."""

    def __init__(self) -> None:
        super().__init__()
        self.halves = Halves()

    def forward(self, x: Tensor) -> Tensor:
        first = self.halves(self.bn1(self.conv1(x))).reshape(len(x), 6, 16, 24)
        return self.fc(self.bn2(self.conv2(first)).mean((2, 3)))


SHORT: dict[str, Callable[[], Model]] = {
    "conv": lambda: wrapped(with_statistics(Conv())),
    "resnet": lambda: wrapped(with_statistics(timm.create_model("test_resnet", num_classes=2))),
    "efficientnet": lambda: wrapped(timm.create_model("test_efficientnet", num_classes=2)),
    "vit": lambda: wrapped(vit()),
    "torchvision vit": lambda: wrapped(torchvision_vit(), (32, 32)),
    "swin": lambda: wrapped(swin(), (32, 32)),
    "tokens": lambda: wrapped(Tokens(), target_layer="norm"),
    "attention output": lambda: wrapped(swin(), (32, 32), target_layer="layers.0.blocks.0"),
    "early layer": lambda: wrapped(Conv(), target_layer="conv1"),
    "a module called twice": lambda: wrapped(Norms(), target_layer="mixed"),
}


def count_runs(part: nn.Module) -> list[int]:
    """Note each run of a module's own forward; hooks would fire for its stand-in too."""
    runs: list[int] = []
    forward = part.forward

    def counting(x: Tensor) -> Tensor:
        runs.append(len(x))
        return forward(x)

    part.forward = counting
    return runs


@pytest.mark.parametrize("name", [*SHORT, "glue in place"])
class TestTheTail:
    @pytest.fixture
    def model(self, name) -> Model:
        torch.manual_seed(0)
        return {**SHORT, "glue in place": lambda: wrapped(Glued())}[name]()

    def test_gives_the_models_logits_for_the_layers_own_outputs(self, model, name):
        x = torch.randn(3, 3, *model.preprocessing.size)
        found = capture(model, x)
        with partial_forward(model, x) as partial:
            for i in range(3):
                logits = partial.scores(
                    i, found.outputs[i : i + 1].expand(2, *found.outputs.shape[1:])
                )
                torch.testing.assert_close(logits, found.logits[i].expand(2, -1))

    def test_gives_what_the_whole_model_gives_for_other_outputs(self, model, name):
        x = torch.randn(2, 3, *model.preprocessing.size)
        changed = torch.randn_like(capture(model, x).outputs)
        layer = model.module.get_submodule(model.target_layer)
        handle = layer.register_forward_hook(lambda *_: changed.clone())
        model.module.eval()
        with torch.no_grad():
            expected = model.module(x)
        handle.remove()
        with partial_forward(model, x) as partial:
            for i in range(2):
                logits = partial.scores(i, changed[i : i + 1])
                torch.testing.assert_close(logits, expected[i : i + 1], rtol=1e-4, atol=1e-5)

    def test_leaves_the_model_as_it_was(self, model, name):
        _ = model.target_layer
        unsettle(model.module)
        before = Snapshot(model.module)
        x = torch.randn(2, 3, *model.preprocessing.size)
        outputs = capture(model, x).outputs
        with partial_forward(model, x) as partial:
            partial.scores(0, outputs[:1])
        before.check(model.module)
        assert not any("forward" in part.__dict__ for part in model.module.modules())


@pytest.mark.parametrize("name", SHORT)
def test_the_trunk_is_skipped(name):
    model = SHORT[name]()
    x = torch.randn(2, 3, *model.preprocessing.size)
    outputs = capture(model, x).outputs[:1].repeat_interleave(5, 0)
    runs = count_runs(model.module.get_submodule(model.seen[0].name))
    with partial_forward(model, x) as partial:
        assert partial.skips_trunk
        runs.clear()
        partial.scores(0, outputs)
    assert runs == []


@pytest.mark.parametrize("net", [Glued, Windows])
def test_what_cannot_be_skipped_is_run_in_full(net):
    model = wrapped(net())
    with partial_forward(model, torch.randn(2, 3, *SIZE)) as partial:
        assert not partial.skips_trunk


def test_a_forward_that_raises_leaves_no_stub_behind():
    class Broken(Conv):
        armed = False

        def forward(self, x: Tensor) -> Tensor:
            x = self.bn2(self.conv2(self.bn1(self.conv1(x))))
            if self.armed:
                raise RuntimeError("out of luck")
            return self.fc(x.mean((2, 3)))

    model = wrapped(Broken().eval())
    x = torch.randn(2, 3, *SIZE)
    outputs = capture(model, x).outputs
    before = Snapshot(model.module)
    with partial_forward(model, x) as partial:
        model.module.armed = True
        with pytest.raises(RuntimeError, match="out of luck"):
            partial.scores(0, outputs[:1])
    before.check(model.module)
    assert not any("forward" in part.__dict__ for part in model.module.modules())


def test_a_forward_of_the_users_own_is_put_back():
    net = Conv().eval()
    model = wrapped(net)
    own = net.bn1.forward
    net.bn1.forward = own
    with partial_forward(model, torch.randn(1, 3, *SIZE)) as partial:
        assert partial.skips_trunk
    assert net.bn1.__dict__["forward"] is own
