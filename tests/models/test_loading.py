"""Every format becomes the same model, and what does not fit is named with its keys."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.models.nets import CLASSES, Brightness, Conv, with_statistics
from xattn.errors import CheckpointError, MethodError, UsageError
from xattn.images import Preprocessing
from xattn.models import build, load, save_checkpoint
from xattn.models.loading import published

ARCH = "test_resnet"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(build(ARCH, 2)).eval()


@pytest.fixture(scope="module")
def batch() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def torchscript(net: nn.Module, kind: str, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "torch.jit is deprecated": users have such files
        script = (
            torch.jit.script(net)
            if kind == "scripted"
            else torch.jit.trace(net, torch.zeros(1, 3, 64, 64))
        )
        torch.jit.save(script, path)
    return path


def own(path: Path, net: nn.Module, **changes: object) -> Path:
    facts = {"architecture": ARCH, "classes": CLASSES, "preprocessing": Preprocessing((64, 64))}
    return save_checkpoint(path, net, **{**facts, **changes})


class TestTheSameLogits:
    def test_come_from_an_own_checkpoint_with_no_other_word(self, tmp_path, net, batch):
        for name in ("model.pt", "model.safetensors"):
            model = load(own(tmp_path / name, net))
            assert torch.equal(model.logits(batch), net(batch))
            assert (model.architecture, model.classes) == (ARCH, CLASSES)

    @pytest.mark.parametrize(
        "rename",
        [
            prefixed(""),
            prefixed("model."),
            prefixed("module."),
            prefixed("net."),
            prefixed("backbone."),
            prefixed("_orig_mod."),
            prefixed("model.module."),
            prefixed("module.model.net."),
            lambda s: {**prefixed("model.")(s), "loss.weight": torch.ones(2)},
            lambda s: {**prefixed("model.")(s), **prefixed("ema.")(s), "ema.n": torch.ones(1)},
            lambda s: {**prefixed("teacher.")(s), **prefixed("aux.")(s), **prefixed("net.")(s)},
            lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
        ],
        ids=[
            "bare", "model.", "module.", "net.", "backbone.", "_orig_mod.", "model.module.",
            "module.model.net.", "model. and a loss", "model. and a moving average",
            "net. among three", "no batch counters",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("nested", [True, False], ids=["state_dict", "flat"])
    def test_come_from_every_naming_of_the_keys(self, tmp_path, net, batch, rename, nested):
        state = rename(net.state_dict())
        torch.save({"state_dict": state, "epoch": 1} if nested else state, tmp_path / "model.ckpt")
        model = load(tmp_path / "model.ckpt", arch=ARCH, classes=CLASSES)
        assert torch.equal(model.logits(batch), net(batch))

    def test_come_from_safetensors(self, tmp_path, net, batch):
        safetensors.torch.save_file(
            prefixed("model.")(net.state_dict()), tmp_path / "m.safetensors"
        )
        model = load(tmp_path / "m.safetensors", arch=ARCH, classes=CLASSES)
        assert torch.equal(model.logits(batch), net(batch))

    @pytest.mark.parametrize("kind", ["traced", "scripted"])
    def test_come_from_torchscript_which_becomes_a_model_with_layers(
        self, tmp_path, net, batch, kind
    ):
        path = torchscript(net, kind, tmp_path / "model.pt")
        model = load(path, arch=ARCH, classes=CLASSES)
        torch.testing.assert_close(model.logits(batch), net(batch))
        assert model.source["format"] == "torchscript"
        assert model.target_layer == "layer4"

    def test_come_from_a_pickled_module_if_that_is_allowed(self, tmp_path, net, batch):
        torch.save(net, tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="--unsafe-pickle"):
            load(tmp_path / "model.pt", classes=CLASSES)
        model = load(tmp_path / "model.pt", classes=CLASSES, unsafe_pickle=True)
        assert torch.equal(model.logits(batch), net(batch))
        assert model.target_layer == "layer4"

    @pytest.mark.parametrize("library", ["timm", "torchvision"])
    def test_come_from_either_librarys_efficientnet_under_one_name(self, tmp_path, batch, library):
        net = with_statistics(build(f"{library}/efficientnet_b0", 2)).eval()
        torch.save(net.state_dict(), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="efficientnet_b0", classes=CLASSES)
        assert torch.equal(model.logits(batch), net(batch))
        assert model.architecture == {"timm": "efficientnet_b0"}.get(
            library, "torchvision/efficientnet_b0"
        )

    def test_come_from_torchvisions_resnet18_under_its_plain_name(self, tmp_path, batch):
        net = with_statistics(torchvision.models.resnet18(num_classes=2)).eval()
        torch.save(net.state_dict(), tmp_path / "model.pt")
        model = load(tmp_path / "model.pt", arch="resnet18", classes=CLASSES)
        torch.testing.assert_close(model.logits(batch), net(batch))

    def test_come_in_the_precision_of_the_module(self, tmp_path, net, batch):
        path = own(tmp_path / "model.pt", net)
        model = load(path)
        model.module.to(torch.float64)
        assert model.logits(batch.double()).dtype == torch.float64
        assert model.normalise(torch.zeros(8, 8, 3, dtype=torch.uint8)).dtype == torch.float64


@pytest.mark.slow
def test_a_volo_keeps_its_own_network(tmp_path):
    """Most of its keys begin with `network.`, which elsewhere is a prefix."""
    net = timm.create_model("volo_d1_224", num_classes=2)
    torch.save(net.state_dict(), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt", arch="volo_d1_224", classes=CLASSES)
    assert torch.equal(model.module.network[0][0].mlp.fc1.weight, net.network[0][0].mlp.fc1.weight)


class TestAHybridsRoundTrip:
    @settings(max_examples=5, deadline=None, derandomize=True)
    @given(
        stages=st.sets(st.integers(1, 4), min_size=1).map(sorted),
        heads=st.sampled_from([1, 2, 4, 8]),
        size=st.tuples(st.integers(33, 64), st.integers(33, 64)),
        ending=st.sampled_from([".pt", ".safetensors"]),
    )
    def test_keeps_options_weights_and_preprocessing(
        self, tmp_path_factory, stages, heads, size, ending
    ):
        options = {"stages": stages, "heads": heads}
        net = build("resnet18-ga", 3, **options).eval()
        for stage in stages:
            nn.init.constant_(net.get_submodule(f"layer{stage}.ga").gate, 0.5)
        preprocessing = Preprocessing(size, interpolation="bicubic")
        path = tmp_path_factory.mktemp("trip") / f"model{ending}"
        save_checkpoint(
            path, net, architecture="resnet18-ga", classes=["a", "b", "c"], options=options,
            preprocessing=preprocessing,
        )  # fmt: skip
        model = load(path)
        path.unlink()
        x = torch.randn(1, 3, *size)
        with torch.no_grad():
            assert torch.equal(model.logits(x), net(x))
        assert (model.options, model.classes) == (options, ["a", "b", "c"])
        assert model.preprocessing == preprocessing


class TestPreprocessing:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(
        size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
        margin=st.none() | st.integers(0, 99),
        mean=st.tuples(*[st.floats(0, 1)] * 3),
        std=st.tuples(*[st.floats(0.01, 1)] * 3),
        interpolation=st.sampled_from(["bilinear", "bicubic", "lanczos", "nearest"]),
    )
    def test_survives_json_exactly(self, size, margin, mean, std, interpolation):
        given_ = Preprocessing(
            size, "squash" if margin is None else "crop",
            None if margin is None else max(size) + margin, mean, std, interpolation,
        )  # fmt: skip
        assert Preprocessing.from_dict(json.loads(json.dumps(given_.to_dict()))) == given_

    def test_of_the_checkpoint_is_used_unless_another_is_given(self, tmp_path, net):
        path = own(tmp_path / "model.pt", net, preprocessing=Preprocessing((40, 56)))
        assert load(path).preprocessing == Preprocessing((40, 56))
        other = Preprocessing((64, 64), "crop", 72)
        assert load(path, preprocessing=other).preprocessing == other

    def test_is_as_published_where_the_checkpoint_says_nothing(self, tmp_path, net):
        torch.save(net.state_dict(), tmp_path / "model.pt")
        found = load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES).preprocessing
        config = net.pretrained_cfg
        assert found.size == config["input_size"][1:]
        assert (found.mode, found.resize) == ("crop", int(found.size[0] / config["crop_pct"]))
        assert (found.mean, found.std) == (config["mean"], config["std"])
        assert found.interpolation == config["interpolation"]

    @pytest.mark.parametrize(
        ("name", "size", "resize", "interpolation"),
        [("resnet18", 224, 256, "bilinear"), ("efficientnet_b3", 300, 320, "bicubic"),
         ("inception_v3", 299, 342, "bilinear")],
    )  # fmt: skip
    def test_of_torchvisions_architectures_is_theirs(self, name, size, resize, interpolation):
        found = published(f"torchvision/{name}", nn.Identity())
        assert (found.size, found.mode, found.resize) == ((size, size), "crop", resize)
        assert found.interpolation == interpolation

    def test_of_every_architecture_of_timm_can_be_told(self):
        modes = set()
        for name in timm.list_models():
            config = timm.get_pretrained_cfg(name).to_dict()
            module = nn.Identity()
            module.pretrained_cfg = config
            found = published(name, module)
            assert found.size == config["input_size"][1:]
            modes.add((config["crop_mode"], found.mode))
        assert ("squash", "squash") in modes
        assert ("squash", "crop") not in modes


class TestWhatDoesNotFit:
    @pytest.fixture
    def path(self, tmp_path, net):
        torch.save(net.state_dict(), tmp_path / "model.pt")
        return tmp_path / "model.pt"

    def altered(self, path: Path, net: nn.Module, **changes: Tensor | None) -> Path:
        state = {**net.state_dict(), **{k.replace("__", "."): v for k, v in changes.items()}}
        torch.save({k: v for k, v in state.items() if v is not None}, path)
        return path

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"conv1__0__weight": None}, r"1 missing \(conv1\.0\.weight\)"),
            ({"gate": torch.ones(1)}, r"1 unexpected \(gate\)"),
            (
                {"layer1__0__conv1__weight": torch.ones(2, 3)},
                r"1 of another shape \(layer1\.0\.conv1\.weight: \(2, 3\) instead of \(32, 32",
            ),
            (
                {"fc__weight": None, "fc__bias": None, "head": torch.ones(1)},
                r"2 missing \(fc\.weight, fc\.bias\), 1 unexpected \(head\); \d+ agree",
            ),
        ],
        ids=["missing", "unexpected", "reshaped", "several"],
    )
    def test_is_named_by_key(self, path, net, changes, words):
        self.altered(path, net, **changes)
        with pytest.raises(CheckpointError, match=rf"does not fill test_resnet: {words}"):
            load(path, arch=ARCH, classes=CLASSES)

    def test_comes_with_the_architecture_that_would(self, tmp_path):
        state = torchvision.models.resnet18(num_classes=7).state_dict()
        torch.save(prefixed("model.")(state), tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"its keys and shapes are those of resnet18 \("):
            load(tmp_path / "model.pt", arch=ARCH, classes=CLASSES)
        with pytest.raises(CheckpointError, match=r"Expected --arch .* those of resnet18 \("):
            load(tmp_path / "model.pt")

    @pytest.mark.parametrize(
        ("classes", "words"),
        [(None, "Expected --classes with the names of its 2 classes"),
         (["a", "b", "c"], "Expected 2 classes for .*, but got 3: a, b, c")],
    )  # fmt: skip
    def test_are_the_classes(self, path, classes, words):
        with pytest.raises(CheckpointError, match=words):
            load(path, arch=ARCH, classes=classes)

    @pytest.mark.parametrize("classes", [["a", "a"], "ab"], ids=["twice", "one text"])
    def test_are_names_that_are_no_list_of_names(self, path, classes):
        with pytest.raises(UsageError, match=r"every class once|a list of class names"):
            load(path, arch=ARCH, classes=classes)

    @pytest.mark.parametrize(
        ("arch", "near"),
        [("resnet81", "'resnet18'"), ("resnet18ga", "'resnet18-ga'"), ("vit_b_61", "'vit_b_16'"),
         ("torchvision/resnet81", "'resnet18'"), ("timm/vit_b_16", "'vit_b_16'")],
    )  # fmt: skip
    def test_is_an_unknown_architecture_with_near_names(self, path, arch, near):
        with pytest.raises(
            UsageError, match=f"Unknown architecture '{arch}'; did you mean.*{near}"
        ):
            load(path, arch=arch, classes=CLASSES)

    def test_is_an_unknown_tag_of_a_known_architecture(self, path):
        with pytest.raises(UsageError, match="cannot be built: Invalid pretrained tag"):
            load(path, arch="test_resnet.nope", classes=CLASSES)


class TestAnOwnCheckpoint:
    def test_contradicted_by_arch_is_refused(self, tmp_path, net):
        path = own(tmp_path / "model.pt", net)
        with pytest.raises(
            CheckpointError, match=r"Expected --arch test_resnet as .* but got resnet18"
        ):
            load(path, arch="resnet18")
        assert load(path, arch=ARCH).architecture == ARCH

    def test_contradicted_by_classes_is_refused(self, tmp_path, net):
        path = own(tmp_path / "model.pt", net)
        with pytest.raises(CheckpointError, match=r"benign, malignant as .*leave --classes out"):
            load(path, classes=["malignant", "benign"])
        assert load(path, classes=CLASSES).classes == CLASSES

    def test_whose_weights_are_of_another_net_is_refused(self, tmp_path, net):
        path = own(tmp_path / "model.pt", Conv())
        with pytest.raises(CheckpointError, match=r"does not fill test_resnet: .* missing"):
            load(path)

    def test_of_an_architecture_nobody_knows_is_refused(self, tmp_path, net):
        with pytest.raises(UsageError, match="Unknown architecture 'custom'"):
            load(own(tmp_path / "model.pt", net, architecture="custom"))


class TestTorchScript:
    def test_of_an_unknown_kind_predicts_but_shows_no_layer(self, tmp_path):
        path = torchscript(Brightness(), "traced", tmp_path / "model.pt")
        model = load(path, classes=CLASSES, preprocessing=Preprocessing((64, 64)))
        x = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(model.logits(x), Brightness()(x))
        with pytest.raises(MethodError, match="TorchScript shows none; name its architecture"):
            _ = model.target_layer

    def test_that_does_something_else_than_the_architecture_is_refused(self, tmp_path, net):
        class Doubled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = net

            def forward(self, x: Tensor) -> Tensor:
                return 2 * self.model(x)

        path = torchscript(Doubled().eval(), "traced", tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"weights of .* fit, but its logits differ by"):
            load(path, arch=ARCH, classes=CLASSES)

    def test_that_gives_a_pair_is_refused(self, tmp_path, net):
        class Pair(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = net

            def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
                return self.model(x), x

        path = torchscript(Pair().eval(), "traced", tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"Expected logits from .*, but it gives a tuple"):
            load(path, arch=ARCH, classes=CLASSES)

    def test_that_takes_another_size_than_the_architecture_is_refused(self, tmp_path, net):
        class Fixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = net

            def forward(self, x: Tensor) -> Tensor:
                return self.model(x + torch.zeros(64, 64))

        path = torchscript(Fixed().eval(), "traced", tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"to take inputs of \(2, 3, 160, 160\)"):
            load(path, arch=ARCH, classes=CLASSES)

    def test_needs_classes(self, tmp_path, net):
        path = torchscript(net, "traced", tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match="--classes with the names of its 2 classes"):
            load(path, arch=ARCH)

    @pytest.mark.slow
    def test_of_a_common_kind_is_recognised_by_its_keys(self, tmp_path):
        net = torchvision.models.resnet18(num_classes=2).eval()
        model = load(torchscript(net, "traced", tmp_path / "model.pt"), classes=CLASSES)
        assert (model.architecture, model.target_layer) == ("resnet18", "layer4")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_loaded_in_any_mode_can_be_explained(tmp_path, net, mode):
    path = own(tmp_path / "model.pt", net)
    with mode():
        model = load(path)
        assert model.target_layer == "layer4"


def test_a_loaded_model_is_in_evaluation_mode_on_its_device(tmp_path, net):
    model = load(own(tmp_path / "model.pt", net), device="cpu")
    assert not any(part.training for part in model.module.modules())
    assert model.device == torch.device("cpu")


def test_a_loaded_model_knows_where_it_came_from(tmp_path, net):
    path = own(tmp_path / "model.pt", net, extra={"epoch": 5})
    source = load(path).source
    assert source["path"] == str(path)
    assert source["format"] == "xattn"
    assert source["extra"] == {"epoch": 5}
    assert len(source["sha256"]) == 64
