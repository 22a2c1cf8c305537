"""Files as trainings leave them: formats, wrappings and heads; each gives the same logits."""

from __future__ import annotations

import argparse
import datetime
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import Tensor, nn

from tests.models.files import make, prefixed, same
from tests.models.nets import CLASSES, with_statistics
from xattn.errors import CheckpointError
from xattn.models import load
from xattn.models.matching.heads import ConcatPool

State = dict[str, Tensor]
ARCHITECTURES = ("test_resnet", "test_vit", "test_efficientnet", "test_convnext")


def sharded(state: State) -> State:
    """Keys as FSDP and activation checkpointing leave them, at any depth."""
    return {
        "_fsdp_wrapped_module." + k.replace(".", "._checkpoint_wrapped_module.", 1): v
        for k, v in state.items()
    }


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": dict,
    "module": lambda s: {"module": s, "epoch": 1},
    "model beside an optimiser": lambda s: {"model": s, "optimizer": {"state": {0: s}}, "lr": 0.1},
    "lightning": lambda s: {
        "state_dict": {**prefixed("model.")(s), "criterion.weight": torch.ones(2)},
        "pytorch-lightning_version": "2.1",
        "hyper_parameters": {"lr": 1e-3},
        "optimizer_states": [{"state": {}}],
    },
    "any prefix": prefixed("classifier_net.trunk_7."),
    "compiled in a wrapper": prefixed("_orig_mod.module."),
    "wrapper of a compiled one": prefixed("net._orig_mod."),
    "sharded": sharded,
    "nested twice": lambda s: {"checkpoint": {"weights": s, "step": 3}},
    "profiled": lambda s: {**s, "total_ops": torch.zeros(1), "stem.total_params": torch.zeros(1)},
    "no counters": lambda s: {k: v for k, v in s.items() if not k.endswith("tracked")},
    "more counters": lambda s: {**s, "extra.num_batches_tracked": torch.tensor(3)},
    "numpy scores": lambda s: {"state_dict": s, "auc": np.float64(0.9), "n": np.int32(7)},
    "arguments": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, out=Path("x"))},
    "dates and sets": lambda s: {"model": s, "at": datetime.datetime(2024, 5, 1), "ids": {1, 2}},
    "default dictionary": lambda s: {"model": s, "history": defaultdict(list, loss=[1.0])},
    "arrays": lambda s: {"model": s, "curve": np.arange(5.0)},
    "half precision": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
}


def to_torch(content: Any, path: Path) -> None:
    torch.save(content, path)


def to_old_torch(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("save", [to_torch, to_old_torch], ids=["zip", "legacy"])
def test_every_wrapping_gives_the_same_logits(tmp_path, wrapping, save):
    net = make("test_resnet")
    save(WRAPPINGS[wrapping](net.state_dict()), tmp_path / "model.pth.tar")
    model = load(tmp_path / "model.pth.tar", arch="test_resnet", classes=CLASSES)
    assert same(model, net, 1e-2 if wrapping == "half precision" else 1e-5)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("wrapping", ["module", "lightning", "any prefix", "profiled"])
def test_every_architecture_is_seen_through_a_wrapping(tmp_path, arch, wrapping):
    net = make(arch)
    torch.save(WRAPPINGS[wrapping](net.state_dict()), tmp_path / "model.pt")
    assert same(load(tmp_path / "model.pt", arch=arch, classes=CLASSES), net)


@pytest.mark.parametrize("prefix", ["", "timm_model.", "encoder.net."])
def test_safetensors_may_have_any_name_and_prefix(tmp_path, prefix):
    net = make("test_resnet")
    safetensors.torch.save_file(prefixed(prefix)(net.state_dict()), tmp_path / "weights.bin")
    assert same(load(tmp_path / "weights.bin", arch="test_resnet", classes=CLASSES), net)


class TestAHead:
    """A classifier that the training put in place of the architecture's."""

    def replaced(self, arch: str, layers: Callable[[int], nn.Module]) -> nn.Module:
        net = make(arch)
        classifier = net.pretrained_cfg["classifier"]
        features = net.get_submodule(classifier).in_features
        net.set_submodule(classifier, layers(features))
        return with_statistics(net).eval()

    HEADS: ClassVar[dict[str, Callable[[int], nn.Module]]] = {
        "dropout, linear": lambda n: nn.Sequential(nn.Dropout(0.5), nn.Linear(n, 2)),
        "linear, relu, dropout, linear": lambda n: nn.Sequential(
            nn.Linear(n, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
        ),
        "norm, linear, relu, norm, linear": lambda n: nn.Sequential(
            nn.BatchNorm1d(n), nn.Dropout(), nn.Linear(n, 8, bias=False), nn.ReLU(),
            nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2, bias=False),
        ),
        "linear, norm, relu, linear": lambda n: nn.Sequential(
            nn.Linear(n, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)
        ),
        "two linear": lambda n: nn.Sequential(nn.Linear(n, 8), nn.Linear(8, 2)),
        "named": lambda n: nn.Sequential(
            OrderedDict(first=nn.Linear(n, 8), act=nn.ReLU(), last=nn.Linear(8, 2))
        ),
        "no bias": lambda n: nn.Linear(n, 2, bias=False),
    }  # fmt: skip

    @pytest.mark.parametrize("arch", ARCHITECTURES)
    @pytest.mark.parametrize("head", HEADS)
    def test_is_rebuilt(self, tmp_path, arch, head):
        net = self.replaced(arch, self.HEADS[head])
        torch.save(prefixed("model.")(net.state_dict()), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch=arch, classes=CLASSES)
        assert same(model, net)
        rebuilt = [note for note in model.source["notes"] if "classifier rebuilt as" in note]
        assert bool(rebuilt) == (head not in ("dropout, linear", "no bias"))

    BEHIND: ClassVar[dict[str, Callable[[int], list[nn.Module]]]] = {
        "in its place": lambda n: [
            nn.Dropout(), nn.Linear(n, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)
        ],
        "with a norm": lambda n: [
            nn.Dropout(), nn.Linear(n, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)
        ],
        "at once": lambda n: [nn.Dropout(), nn.Linear(n, 8), nn.Linear(8, 2)],
        "one more alone": lambda n: [nn.Dropout(), nn.Linear(n, 2)],
    }  # fmt: skip

    @pytest.mark.parametrize("layers", BEHIND)
    @pytest.mark.parametrize("prefix", ["", "module.net."])
    def test_may_go_on_behind_the_architectures_own(self, tmp_path, layers, prefix):
        torch.manual_seed(0)
        net = with_statistics(torchvision.models.mobilenet_v2(num_classes=2))
        net.classifier = nn.Sequential(*self.BEHIND[layers](net.last_channel))
        net.eval()
        torch.save(prefixed(prefix)(net.state_dict()), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="torchvision/mobilenet_v2", classes=CLASSES)
        x = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            assert torch.allclose(model.logits(x), net(x), atol=1e-5)

    @pytest.mark.parametrize(
        ("body", "name"),
        [("", "myfc."), ("backbone.", "head."), ("module.enet.", "module.myfc."),
         ("", "last_linear."), ("base.0.", "base.1.2.")],
    )  # fmt: skip
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    def test_of_one_layer_may_have_any_name(self, tmp_path, arch, body, name):
        net = make(arch)
        own = net.pretrained_cfg["classifier"] + "."
        state = {
            name + k.removeprefix(own) if k.startswith(own) else body + k: v
            for k, v in net.state_dict().items()
        }
        torch.save(state, tmp_path / "model.pt")
        assert same(load(tmp_path / "model.pt", arch=arch, classes=CLASSES), net)

    def test_that_could_be_either_of_two_layers_is_named(self, tmp_path):
        state = {k: v for k, v in make("test_resnet").state_dict().items() if "fc." not in k}
        two = {"age.weight": torch.ones(3, 96), "sex.weight": torch.ones(3, 96)}
        torch.save({**state, **two}, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"one classifier of .*, but got 2: age, sex"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)

    def test_is_told_from_another_by_the_number_of_classes(self, tmp_path):
        net = make("test_resnet")
        state = {k.replace("fc.", "diagnosis."): v for k, v in net.state_dict().items()}
        torch.save({**state, "age.weight": torch.ones(3, 96)}, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"1 unexpected \(age\.weight\)"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)

    def test_with_a_layer_after_it_is_refused(self, tmp_path):
        net = make("test_resnet", n_classes=5)
        state = {**prefixed("net.")(net.state_dict()), "last.weight": torch.ones(2, 5)}
        torch.save(state, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"a layer after the classifier, last\.weight"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=list("abcde"))

    @pytest.mark.parametrize("numbers", [(0, 10**9), (3, 1)])
    def test_with_wild_numbers_ends_at_once(self, tmp_path, numbers):
        state = {k: v for k, v in make("test_resnet").state_dict().items() if "fc." not in k}
        width = timm.create_model("test_resnet").fc.in_features
        first, last = numbers
        state |= {f"fc.{first}.weight": torch.ones(4, width), f"fc.{last}.weight": torch.ones(2, 4)}
        torch.save(state, tmp_path / "model.pt")
        assert load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES).classes == CLASSES


class TestAnotherSize:
    def vit(self, size: int) -> nn.Module:
        torch.manual_seed(0)
        return timm.create_model("test_vit", num_classes=2, img_size=size).eval()

    def test_is_read_off_the_position_embeddings(self, tmp_path):
        net = self.vit(96)
        torch.save(net.state_dict(), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_vit", classes=CLASSES)
        x = torch.randn(1, 3, 96, 96)
        with torch.no_grad():
            assert torch.allclose(model.logits(x), net(x), atol=1e-5)
        assert model.preprocessing.size == (96, 96)
        assert model.options == {"img_size": (96, 96)}

    def test_is_the_one_of_its_inputs_whatever_a_record_says(self, tmp_path):
        torch.save(self.vit(96).state_dict(), tmp_path / "model.pt")
        (tmp_path / "config.json").write_text('{"input_size": [3, 160, 160]}')
        model = load(tmp_path / "model.pt", arch="test_vit", classes=CLASSES)
        assert model.preprocessing.size == (96, 96)

    def test_is_that_in_which_torchscript_is_compared(self, tmp_path):
        net = self.vit(96)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "torch.jit is deprecated": users have such files
            torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 96, 96)), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_vit", classes=CLASSES)
        x = torch.randn(1, 3, 96, 96)
        with torch.no_grad():
            assert torch.allclose(model.logits(x), net(x), atol=1e-5)

    def test_that_is_asked_for_is_resampled_and_said(self, tmp_path):
        torch.save(self.vit(96).state_dict(), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="test_vit", classes=CLASSES, size=(64, 128))
        assert model.logits(torch.randn(1, 3, 64, 128)).shape == (1, 2)
        assert "position embeddings resampled from 96 x 96 to 64 x 128" in model.source["notes"]


@pytest.mark.parametrize("pickled", [False, True])
def test_a_net_of_one_channel_sees_images_in_grey(tmp_path, pickled):
    torch.manual_seed(0)
    net = with_statistics(timm.create_model("test_resnet", num_classes=2, in_chans=1)).eval()
    torch.save(net if pickled else net.state_dict(), tmp_path / "model.pt")
    options = {"unsafe_pickle": True} if pickled else {"arch": "test_resnet"}
    model = load(tmp_path / "model.pt", classes=CLASSES, **options)
    x = torch.rand(2, 3, 64, 64)
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
    with torch.no_grad():
        assert torch.allclose(model.logits(x), net(grey), atol=1e-5)
    assert len(set(model.preprocessing.mean)) == 1
    assert any("takes one channel" in note for note in model.source["notes"])


def test_the_children_of_a_net_in_a_sequence_are_named_again(tmp_path):
    net = make("test_resnet")
    children = list(net.children())
    body, head = nn.Sequential(*children[:-1]), children[-1]
    state = {**prefixed("body.")(body.state_dict()), **prefixed("head.")(head.state_dict())}
    torch.save(state, tmp_path / "model.pt")
    assert same(load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES), net)


class TestFastai:
    """Its learner numbers the body's children and pools in two ways before a head of its own."""

    def learner(self) -> nn.Module:
        torch.manual_seed(0)
        net = torchvision.models.resnet18(num_classes=2)
        head = nn.Sequential(
            ConcatPool(), nn.Flatten(), nn.BatchNorm1d(1024), nn.Dropout(), nn.Linear(1024, 16),
            nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 2),
        )  # fmt: skip
        body = nn.Sequential(*list(net.children())[:-2])
        return with_statistics(nn.Sequential(body, head)).eval()

    def test_gives_the_same_logits(self, tmp_path):
        net = self.learner()
        torch.save({"model": net.state_dict(), "opt": {"state": []}}, tmp_path / "model.pth")
        model = load(tmp_path / "model.pth", arch="resnet18", classes=CLASSES)
        x = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            torch.testing.assert_close(model.logits(x), net(x), atol=1e-5, rtol=1e-5)
        assert not any("left out" in note for note in model.source["notes"])


def test_a_classifier_that_is_a_convolution_is_filled(tmp_path):
    net = torchvision.models.squeezenet1_1(num_classes=2).eval()
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch="squeezenet1_1", classes=CLASSES)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_classifiers_are_left_out_and_the_rescaling_is_said(tmp_path, name):
    make_net = getattr(torchvision.models, name)
    torch.manual_seed(0)
    net = make_net(num_classes=2, init_weights=False, transform_input=True).eval()
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch=name, classes=CLASSES)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x))
    (note,) = model.source["notes"]
    assert "transform_input" in note
    # The options that the note names undo the rescaling.
    words = note.split()
    mean, std = (
        torch.tensor([float(n) for n in words[words.index(option) + 1].split(",")])
        for option in ("--mean", "--std")
    )
    given = torch.tensor(model.preprocessing.mean), torch.tensor(model.preprocessing.std)
    pixels = torch.rand(3)
    inside = ((pixels - mean) / std * given[1] + given[0] - 0.5) / 0.5
    torch.testing.assert_close(inside, (pixels - given[0]) / given[1], atol=5e-3, rtol=5e-3)


def test_a_net_of_four_channels_takes_images_of_four(tmp_path):
    net = timm.create_model("test_resnet", num_classes=2, in_chans=4).eval()
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
    assert model.preprocessing.channels == 4
    batch = torch.rand(2, 4, *model.preprocessing.size)
    torch.testing.assert_close(model.logits(batch), net(batch))


def test_a_chain_is_never_begun_in_its_middle(tmp_path):
    """The last layers of a head whose first ones read something else are no head."""
    state = {k: v for k, v in make("test_resnet").state_dict().items() if "fc." not in k}
    width = timm.create_model("test_resnet").fc.in_features
    for names in (("head.0", "head.2"), ("first", "second")):
        more = {
            f"{names[0]}.weight": torch.ones(width, 7),
            f"{names[1]}.weight": torch.ones(2, width),
        }
        torch.save({**state, **more}, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="does not fill test_resnet"):
            load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)


def test_efficientnets_of_lukemelas_are_named_as_in_timm(tmp_path):
    net = make("tf_efficientnet_b0")
    state = {}
    blocks = [f"{i}.{j}" for i, stage in enumerate(net.blocks) for j in range(len(stage))]
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
             "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand",
             "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "se.conv_reduce": "_se_reduce",
             "se.conv_expand": "_se_expand", "conv_pw": "_project_conv", "bn2": "_bn2"}  # fmt: skip
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
             "classifier": "_fc"}  # fmt: skip
    for key, value in net.state_dict().items():
        path, _, end = key.rpartition(".")
        if path.startswith("blocks."):
            _, i, j, inner = path.split(".", 3)
            names = first if i == "0" else later
            state[f"_blocks.{blocks.index(f'{i}.{j}')}.{names[inner]}.{end}"] = value
        else:
            state[f"{outer[path]}.{end}"] = value
    torch.save(prefixed("net.")(state), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch="tf_efficientnet_b0", classes=CLASSES)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(x), net(x))


def test_what_is_left_out_is_counted_in_one_line(tmp_path):
    net = make("test_resnet")
    torch.save(
        {**prefixed("net.")(net.state_dict()), "loss.weight": torch.ones(2)}, tmp_path / "model.pt"
    )
    model = load(tmp_path / "model.pt", arch="test_resnet", classes=CLASSES)
    assert model.source["notes"] == [
        "1 tensor left out that the architecture has not (loss.weight)"
    ]
