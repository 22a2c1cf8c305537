"""The layer to explain is found from a forward pass, and a bad choice is told before a map is."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, Tokens, swin, torchvision_vit, vit, wrapped
from xattn.errors import MethodError
from xattn.models.probing.forward import evaluating
from xattn.models.probing.probe import Layout, find_target_layer, probe

SMALL = {
    "test_resnet": ("layer4", "channels-first", 0),
    "test_efficientnet": ("bn2", "channels-first", 0),
    "test_convnext": ("stages", "channels-first", 0),
    "test_byobnet": ("stages", "channels-first", 0),
    "test_nfnet": ("final_act", "channels-first", 0),
    "test_mambaout": ("stages", "channels-last", 0),
    "test_vit": ("blocks.5.norm1", "tokens", 1),
    "test_vit3": ("norm", "tokens", 1),
}


LARGE = {
    "resnet18": ("layer4", (7, 7)),
    "torchvision/resnet18": ("layer4", (7, 7)),
    "efficientnet_b0": ("bn2", (7, 7)),
    "torchvision/efficientnet_b0": ("features", (7, 7)),
    "resnet18-ga": ("layer4", (7, 7)),
    "vit_tiny_patch16_224": ("blocks.11.norm1", (14, 14)),
    "deit_tiny_distilled_patch16_224": ("blocks.11.norm1", (14, 14)),
    "swin_tiny_patch4_window7_224": ("norm", (7, 7)),
    "torchvision/swin_t": ("permute", (7, 7)),
    "convnext_tiny": ("stages", (7, 7)),
    "torchvision/convnext_tiny": ("features", (7, 7)),
    "torchvision/vgg11_bn": ("features", (7, 7)),
    "densenet121": ("features", (7, 7)),
    "torchvision/mobilenet_v3_small": ("features", (7, 7)),
    "torchvision/squeezenet1_1": ("classifier.2", (13, 13)),
    "mobilevit_xxs": ("final_conv", (7, 7)),
}


class TestTheLayerFound:
    @pytest.mark.parametrize("name", SMALL)
    @pytest.mark.parametrize("size", [(160, 160), (96, 160)], ids=["square", "wide"])
    def test_of_each_family_of_timm(self, name, size):
        sized = {"img_size": size} if "vit" in name else {}
        model = wrapped(timm.create_model(name, num_classes=2, **sized), size)
        layer, kind, prefix = SMALL[name]
        step = 16 if kind == "tokens" else 32
        assert model.target_layer == layer
        assert model.target_layout == Layout(kind, (size[0] // step, size[1] // step), prefix)
        assert model.target.reach == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("name", LARGE)
    def test_of_architectures_people_use(self, name):
        from xattn.models import build

        model = wrapped(build(name, 2), (224, 224))
        assert (model.target_layer, model.target_layout.grid) == LARGE[name]

    def test_of_a_vit_with_registers_leaves_all_of_them_out(self):
        model = wrapped(vit(reg_tokens=4))
        assert model.target_layer == "blocks.1.norm1"
        assert model.target_layout == Layout("tokens", (4, 6), prefix=5)

    def test_of_an_averaging_vit_is_its_last_norm(self):
        model = wrapped(vit(class_token=False, global_pool="avg", fc_norm=False))
        assert model.target_layer == "norm"
        assert model.target_layout == Layout("tokens", (4, 6))

    def test_of_torchvisions_vit_is_the_last_norm_whose_patches_matter(self):
        model = wrapped(torchvision_vit(), (32, 32))
        assert model.target_layer == "encoder.layers.encoder_layer_1.ln_1"
        assert model.target_layout == Layout("tokens", (4, 4), prefix=1)

    def test_of_swin_has_its_channels_last(self):
        model = wrapped(swin(), (32, 32))
        assert model.target_layer == "norm"
        assert model.target_layout == Layout("channels-last", (4, 4))

    def test_of_torchvisions_swin_has_been_turned_to_channels_first(self):
        net = torchvision.models.SwinTransformer(
            [4, 4], 16, [1, 1], [1, 2], window_size=[4, 4], num_classes=2
        )
        model = wrapped(net, (32, 32))
        assert model.target_layout == Layout("channels-first", (4, 4))

    def test_of_a_sequential_is_the_last_part_with_a_grid(self):
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1), nn.Tanh(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
        )  # fmt: skip
        model = wrapped(net)
        assert model.target_layer == "3"
        assert model.target_layout.grid == (8, 12)

    def test_is_not_an_average_over_the_grid(self):
        net = nn.Sequential(
            nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(24, 2)
        )
        assert wrapped(net).target_layer == "0"

    def test_is_not_a_convolution_after_the_average(self):
        net = nn.Sequential(
            nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.Flatten()
        )
        assert wrapped(net, (64, 64)).target_layer == "0"

    def test_is_never_one_that_runs_twice(self):
        assert wrapped(Conv()).target_layer == "bn2"  # the ReLU after it is used twice

    def test_is_not_one_that_gives_several_tensors(self):
        class Pair(nn.Conv2d):
            def forward(self, x: Tensor) -> tuple[Tensor, None]:
                return super().forward(x), None

        class Net(Conv):
            def __init__(self) -> None:
                super().__init__()
                self.pair = Pair(6, 6, 1)

            def forward(self, x: Tensor) -> Tensor:
                return self.fc(self.pair(self.conv2(self.conv1(x)))[0].mean((2, 3)))

        assert wrapped(Net()).target_layer == "conv2"
        with pytest.raises(MethodError, match="one tensor, but 'pair' is none"):
            _ = wrapped(Net(), target_layer="pair").target_layer

    def test_is_not_one_whose_first_axis_counts_windows(self):
        seen = {layer.name: layer for layer in wrapped(swin(), (32, 32)).seen}
        assert seen["layers.0.blocks.0.attn"].shape == (4, 16, 16)
        assert seen["layers.0.blocks.0.attn"].layout is None

    def test_is_found_for_inputs_whose_grid_is_rounded(self):
        model = wrapped(Conv(), (33, 47))
        assert model.target_layout.grid == (9, 12)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_is_found_in_any_precision(self, dtype):
        assert wrapped(Conv().to(dtype)).target_layer == "bn2"


class TestAnOverride:
    def test_is_taken(self):
        model = wrapped(Conv(), target_layer="bn1")
        assert (model.target_layer, model.target_layout.grid) == ("bn1", (16, 24))

    def test_of_an_unknown_name_suggests_near_ones(self):
        with pytest.raises(MethodError, match=r"'bn3' is none; did you mean 'bn2' or 'bn1'\?"):
            _ = wrapped(Conv(), target_layer="bn3").target_layer

    def test_without_a_grid_names_one_that_has_it(self):
        with pytest.raises(MethodError, match=r"grid at 'fc', .* \(1, 2\); 'bn2' has one"):
            _ = wrapped(Conv(), target_layer="fc").target_layer

    def test_that_runs_twice_is_refused(self):
        with pytest.raises(MethodError, match="'relu' to run once, but it runs 2 times"):
            _ = wrapped(Conv(), target_layer="relu").target_layer

    @pytest.mark.parametrize("layer", ["blocks.1.norm2", "blocks.1", "norm", "blocks"])
    def test_that_would_give_zeros_in_a_class_token_vit_names_the_layer_to_use(self, layer):
        with pytest.raises(MethodError, match=r"would be zero.*use 'blocks.1.norm1'"):
            _ = wrapped(vit(), target_layer=layer).target_layer

    @pytest.mark.parametrize("layer", ["blocks.1.norm1", "blocks.0", "blocks.0.norm2"])
    def test_whose_patches_matter_is_taken(self, layer):
        assert wrapped(vit(), target_layer=layer).target_layer == layer


class TestAModelThatCannotBeExplained:
    def test_because_it_ignores_the_image_says_so(self):
        class Prior(Conv):
            def forward(self, x: Tensor) -> Tensor:
                return self.fc.bias.expand(len(x), 2) + 0 * self.conv1(x).detach().mean()

        for net in (Prior(), Prior().requires_grad_(False)):
            with pytest.raises(MethodError, match="no layer moves them"):
                _ = wrapped(net).target_layer

    def test_because_its_head_is_still_zero_says_so(self):
        net = Conv()
        nn.init.zeros_(net.fc.weight)
        with pytest.raises(MethodError, match="head is still zero"):
            _ = wrapped(net).target_layer

    def test_because_its_features_come_from_under_no_grad_says_so(self):
        class Frozen(Conv):
            def forward(self, x: Tensor) -> Tensor:
                with torch.no_grad():
                    features = self.conv2(self.conv1(x))
                return self.fc(features.mean((2, 3)))

        with pytest.raises(MethodError, match="forward run under no_grad"):
            _ = wrapped(Frozen()).target_layer

    def test_because_it_has_no_layers_says_so(self):
        class Bare(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.mean((2, 3))[:, :2]

        with pytest.raises(MethodError, match="none; name one with --target-layer"):
            _ = wrapped(Bare()).target_layer

    def test_because_nothing_keeps_a_grid_says_so(self):
        net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 48, 5), nn.ReLU(), nn.Linear(5, 2))
        with pytest.raises(MethodError, match="spatial grid, but the probing forward found none"):
            _ = wrapped(net).target_layer

    @pytest.mark.parametrize(
        ("change", "got"),
        [(lambda y: (y, y), "tuple"), (lambda y: {"a": y, "b": y}, "dict"),
         (lambda y: y[:, :, None], r"\(1, 2, 1\)")],
        ids=["tuple", "dict", "3-d"],
    )  # fmt: skip
    def test_because_it_gives_something_else_than_logits_says_what(self, change, got):
        class Odd(Conv):
            def forward(self, x: Tensor) -> Tensor:
                return change(super().forward(x))

        with pytest.raises(MethodError, match=rf"\(n, classes\), but the model gives {got}"):
            _ = wrapped(Odd()).target_layer

    @pytest.mark.parametrize(
        ("net", "size", "hint"),
        [(lambda: vit((32, 48)), (40, 40), "is another --size meant"),
         (lambda: nn.Bilinear(48, 48, 2), SIZE, "say how it is called of the image alone")],
        ids=["fixed size", "two inputs"],
    )  # fmt: skip
    def test_because_it_takes_other_inputs_says_so_with_a_hint_that_applies(self, net, size, hint):
        with pytest.raises(MethodError, match=hint) as error:
            _ = wrapped(net(), size).target_layer
        assert "\n" not in str(error.value)

    def test_because_it_was_made_under_inference_mode_says_so(self):
        with torch.inference_mode():
            net = Conv()
        with pytest.raises(MethodError, match=r"made under torch.inference_mode"):
            _ = wrapped(net).target_layer


class TestTheProbe:
    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
    def test_works_in_whatever_mode_the_caller_is_in(self, mode):
        net = Conv()
        with mode():
            assert wrapped(net).target_layer == "bn2"

    def test_works_on_frozen_models(self):
        assert wrapped(Conv().requires_grad_(False)).target_layer == "bn2"

    def test_works_on_models_that_change_their_input_in_place(self):
        class Normalising(Conv):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x.sub_(0.5).div_(0.2))

        assert wrapped(Normalising()).target_layer == "bn2"

    def test_leaves_no_trace(self):
        net = Conv()
        net.bn1.eval()
        net.conv2.requires_grad_(False)
        net.fc.weight.grad = torch.ones_like(net.fc.weight)
        before = {k: v.clone() for k, v in net.state_dict().items()}
        probe(net, SIZE)
        assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
        assert [p.training for p in (net, net.bn1, net.bn2)] == [True, False, True]
        assert [p.requires_grad for p in (net.conv1.weight, net.conv2.weight)] == [True, False]
        assert torch.equal(net.fc.weight.grad, torch.ones_like(net.fc.weight))
        assert net.conv1.weight.grad is None
        assert not any(part._forward_hooks for part in net.modules())

    def test_leaves_no_trace_of_a_model_that_raises(self):
        class Broken(Conv):
            def forward(self, x: Tensor) -> Tensor:
                self.conv1(x)
                raise RuntimeError("out of luck")

        net = Broken()
        with pytest.raises(RuntimeError, match="out of luck"):
            probe(net, SIZE)
        assert not any(part._forward_hooks for part in net.modules())
        assert all(part.training for part in net.modules())
        assert torch.is_grad_enabled()

    def test_reports_which_leading_tokens_the_logits_are_read_from(self):
        seen = {layer.name: layer for layer in probe(Tokens(), SIZE)}
        assert (seen["attention"].reach, seen["attention"].leading) == (0, (0,))
        assert (seen["norm"].reach, seen["norm"].leading) == (1, (0,))

    def test_is_the_same_each_time(self):
        net = Conv()
        assert probe(net, SIZE) == probe(net, SIZE)


class TestALayout:
    @pytest.mark.parametrize(
        ("layout", "shape"),
        [(Layout("channels-first", (2, 3)), (1, 5, 2, 3)),
         (Layout("channels-last", (2, 3)), (1, 2, 3, 5)),
         (Layout("tokens", (2, 3), 0), (1, 6, 5)),
         (Layout("tokens", (2, 3), 2), (1, 8, 5))],
        ids=["channels-first", "channels-last", "tokens", "tokens after two others"],
    )  # fmt: skip
    def test_brings_each_value_to_its_place(self, layout, shape):
        grid = torch.arange(30).reshape(1, 5, 2, 3)
        tokens = grid.flatten(2).transpose(1, 2)
        given = {
            "channels-first": grid,
            "channels-last": grid.permute(0, 2, 3, 1),
            "tokens": F.pad(tokens, (0, 0, layout.prefix, 0), value=-1),
        }[layout.kind]
        assert given.shape == shape
        assert torch.equal(layout.spatial(given), grid)


def test_evaluating_puts_mixed_flags_back_even_after_an_error():
    net = Conv()
    net.bn1.eval()

    def fail() -> None:
        with evaluating(net):
            assert not any(part.training for part in net.modules())
            raise ValueError("halt")

    with pytest.raises(ValueError, match="halt"):
        fail()
    assert [p.training for p in (net, net.bn1, net.bn2)] == [True, False, True]


class Merging(nn.Module):
    """Tokens that are merged two by two, as in Swin of transformers: (n, h * w, C), never a map."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 4, 4)
        self.table = nn.Linear(2, 4)
        self.register_buffer("places", torch.randn(1, 7, 7, 2))
        self.merge = nn.Linear(16, 8)
        self.norm = nn.LayerNorm(8)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.patches(x)
        x = nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)
        x = self.norm(self.merge(x)) + self.table(self.places).mean()
        return self.head(self.pool(x.transpose(1, 2)).flatten(1))


def test_merged_tokens_are_seen_and_tables_of_positions_are_not():
    torch.manual_seed(0)
    seen = probe(Merging(), (64, 64))
    layer = find_target_layer(seen)
    assert (layer.name, layer.layout.grid, layer.layout.prefix) == ("norm", (8, 8), 0)
    assert "table" not in {one.name for one in seen}
