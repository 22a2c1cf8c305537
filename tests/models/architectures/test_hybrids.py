"""A hybrid is its backbone, untouched, with blocks after chosen stages."""

from __future__ import annotations

import copy
from itertools import product
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from tests.models.nets import with_statistics
from xattn.errors import CheckpointError, UsageError
from xattn.images import Preprocessing
from xattn.models import ARCHITECTURES, build, load, save_checkpoint
from xattn.models.architectures.hybrids import insert_after_stages
from xattn.training.init_weights import start_from

KINDS = ["ga", "la", "ela", "conv"]
FAMILY = [name for name in ARCHITECTURES if ARCHITECTURES[name].family in ("hybrid", "control")]


def opened(net: nn.Module) -> nn.Module:
    """Set all gates to 1."""
    for name, parameter in net.named_parameters():
        if name.endswith(".gate"):
            nn.init.ones_(parameter)
    return net


def own_keys(hybrid: nn.Module, plain: nn.Module) -> set[str]:
    return set(hybrid.state_dict()) - set(plain.state_dict())


def test_the_family_is_complete():
    assert set(FAMILY) == {f"{b}-{k}" for b in ("resnet18", "efficientnet_b0") for k in KINDS}


@pytest.mark.parametrize("name", FAMILY)
def test_the_plain_network_fills_the_hybrid_which_then_is_the_plain_network(name):
    backbone, _, kind = name.rpartition("-")
    plain = with_statistics(build(backbone, 2).eval())
    hybrid = build(name, 2).eval()
    missing, unexpected = hybrid.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert set(missing) <= own_keys(hybrid, plain)
    assert all(f".{kind}." in key for key in own_keys(hybrid, plain))
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(hybrid(x), plain(x))
        assert (opened(hybrid)(x) - plain(x)).abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_torchvisions_resnet_fills_the_hybrid(kind):
    plain = with_statistics(torchvision.models.resnet18(num_classes=2)).eval()
    hybrid = build(f"resnet18-{kind}", 2).eval()
    assert not hybrid.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(hybrid(x), plain(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stages", [(1,), (2, 4), (1, 2, 3, 4), ()])
def test_blocks_stand_after_the_stages_asked_for_with_their_channels(stages):
    net = insert_after_stages(build("test_resnet", 2), "block", nn.BatchNorm2d, stages)
    assert [hasattr(net.get_submodule(f"layer{i}"), "block") for i in (1, 2, 3, 4)] == [
        i in stages for i in (1, 2, 3, 4)
    ]
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("resnet18-la", {"layer3.la", "layer4.la"}),
        ("efficientnet_b0-ga", {"blocks.4.ga", "blocks.6.ga"}),
        ("regnety_008-ela", {"ela.s3", "ela.s4"}),
        ("convnext_tiny-la", {"la.stages_2", "la.stages_3"}),
    ],
)
def test_blocks_stand_after_the_last_two_stages_by_default(name, where):
    with torch.device("meta"):
        net = build(name, 2)
    gates = {key for key, _ in net.named_parameters() if key.endswith(".gate")}
    assert {key.removesuffix(".gate") for key in gates} == where


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [*product(["test_convnext", "test_byobnet"], KINDS), ("densenet121", "la")],
)
def test_other_backbones_run_each_block_once_and_keep_keys_and_logits(backbone, kind):
    """Their stages are no `nn.Sequential`; some run over their own parts."""
    plain = with_statistics(build(backbone, 2).eval())
    hybrid = build(f"{backbone}-{kind}", 2).eval()
    hybrid.load_state_dict(plain.state_dict(), strict=False)
    assert all(key in hybrid.state_dict() for key in plain.state_dict())
    calls: list[str] = []
    for name, part in hybrid.named_modules():
        if hasattr(part, "gate") and isinstance(part.gate, nn.Parameter):
            part.register_forward_hook(lambda *_, name=name: calls.append(name))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(hybrid(x), plain(x))
        assert len(calls) == len(set(calls)) == 2
        assert (opened(hybrid)(x) - plain(x)).abs().max() > 1e-6


def test_a_copy_runs_its_own_blocks():
    first = opened(build("test_convnext-ga", 2)).eval()
    second = copy.deepcopy(first)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = second(x)
        for name, parameter in first.named_parameters():
            if name.startswith("ga."):
                parameter.zero_()
        assert torch.equal(second(x), before)
        assert not torch.equal(first(x), before)


@pytest.mark.parametrize("match", ["ga", "la", "ela"])
@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_b0", "convnext_tiny"])
@pytest.mark.parametrize("stages", [None, [1], [1, 3, 4]])
def test_the_control_has_as_many_parameters_as_its_hybrid(match, backbone, stages):
    options = {} if stages is None else {"stages": stages}
    counts = []
    with torch.device("meta"):
        for name, more in ((f"{backbone}-{match}", {}), (f"{backbone}-conv", {"match": match})):
            net = build(name, 2, **options, **more)
            counts.append(sum(p.numel() for p in net.parameters()))
    assert counts[1] == pytest.approx(counts[0], rel=0.005)


def test_the_control_matches_the_blocks_options():
    options = {"heads": 2, "kernel": 3, "ratio": 2}
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in build(name, 2, **given).parameters())
            for name, given in (
                ("resnet18-ela", options),
                ("resnet18-conv", {"match": "ela", **options}),
            )
        ]
    assert counts[1] == pytest.approx(counts[0], rel=0.005)


@pytest.mark.parametrize("name", ["vgg11", "test_vit", "mixer_s16_224", "hrnet_w18_small"])
def test_a_backbone_without_convolutional_stages_is_refused(name):
    with (
        torch.device("meta"),
        pytest.raises(UsageError, match="Expected a backbone with convolutional stages, but"),
    ):
        build(f"{name}-la", 2)


def plain_checkpoint(tmp_path: Path, n_classes: int = 2) -> tuple[Path, nn.Module]:
    plain = with_statistics(build("resnet18", n_classes)).eval()
    path = tmp_path / "plain.pt"
    torch.save(plain.state_dict(), path)
    return path, plain


class TestAPlainCheckpoint:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_what_a_training_of_the_hybrid_can_start_from(self, tmp_path, kind):
        path, plain = plain_checkpoint(tmp_path)
        hybrid = build(f"resnet18-{kind}", 2)
        record = start_from(hybrid, path, 2)
        assert all(f".{kind}." in key for key in record["left"])
        x = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            assert torch.equal(hybrid.eval()(x), plain(x))

    def test_of_other_classes_gives_all_but_the_classifier(self, tmp_path):
        path, plain = plain_checkpoint(tmp_path, 1000)
        hybrid = build("resnet18-ela", 2)
        record = start_from(hybrid, path, 2)
        assert {k for k in record["left"] if ".ela." not in k} == {"fc.weight", "fc.bias"}
        assert torch.equal(hybrid.layer4[1].conv2.weight, plain.layer4[1].conv2.weight)

    def test_is_not_explained_as_a_hybrid_whose_blocks_it_lacks(self, tmp_path):
        """Their maps would be noise."""
        path, _ = plain_checkpoint(tmp_path)
        with pytest.raises(CheckpointError, match=r"missing \(layer3.la.* those of resnet18 \("):
            load(path, arch="resnet18-la", classes=["a", "b"])


@pytest.mark.parametrize("name", ["efficientnet_b0-ela", "test_convnext-la", "resnet18-conv"])
def test_a_hybrids_own_checkpoint_is_read_back_with_its_options(tmp_path, name):
    options = {"stages": [2], **({} if name.endswith("conv") else {"kernel": 3, "heads": 2})}
    net = opened(with_statistics(build(name, 2, **options))).eval()
    path = save_checkpoint(
        tmp_path / "m.pt",
        net,
        architecture=name,
        options=options,
        classes=["a", "b"],
        preprocessing=Preprocessing(size=(64, 64)),
    )
    model = load(path)
    assert model.options == options
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.module(x), net(x))
