"""Attention read beside the model's own pass equals the weights the model would have built."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, Tokens, torchvision_vit, vit, wrapped
from xattn.attribution.passes.capture import capture
from xattn.errors import MethodError
from xattn.models import Model, build
from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.attention import attention_map, is_attention


class Attending(Conv):
    """A convolutional net with GA before the average."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.ga = GlobalAttention(6, heads)
        nn.init.constant_(self.ga.gate, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.ga(self.bn2(self.conv2(self.conv1(x)))).mean((2, 3)))


def maps_of(model: Model, x: Tensor, layer: int = -1) -> Tensor:
    attended = model.attention_layers[layer]
    weights = capture(model, x, gradients=False, attention=[attended]).attention
    return attention_map(attended, weights[attended])


def unfused(net: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """Weights of one of timm's layers as its own unfused path builds them: (n, heads, N, N)."""
    built = []
    fused, layer.fused_attn = layer.fused_attn, False
    hook = layer.attn_drop.register_forward_pre_hook(lambda _, inputs: built.append(inputs[0]))
    with torch.no_grad():
        net(x)
    hook.remove()
    layer.fused_attn = fused
    return built[0]


class TestTimmsViT:
    @pytest.mark.parametrize(
        "options",
        [{}, {"qk_norm": True}, {"reg_tokens": 4}, {"num_heads": 4}, {"qkv_bias": False}],
        ids=lambda options: next(iter(options), "plain"),
    )
    def test_class_attention_equals_the_unfused_weights(self, options):
        net = vit(**options)
        model = wrapped(net)
        x = torch.randn(3, 3, *SIZE)
        weights = unfused(net, net.blocks[-1].attn, x)
        prefix = model.attention_layers[-1].prefix
        expected = weights[:, :, 0, prefix:].mean(1).reshape(3, 4, 6)
        torch.testing.assert_close(maps_of(model, x), expected)

    def test_an_earlier_layer_gives_what_each_position_receives(self):
        net = vit()
        x = torch.randn(2, 3, *SIZE)
        weights = unfused(net, net.blocks[0].attn, x)
        expected = weights.mean((1, 2))[:, 1:].reshape(2, 4, 6)
        torch.testing.assert_close(maps_of(wrapped(net), x, 0), expected)

    def test_an_averaging_vit_gives_what_each_position_receives(self):
        net = vit(class_token=False, global_pool="avg")
        x = torch.randn(2, 3, *SIZE)
        expected = unfused(net, net.blocks[-1].attn, x).mean((1, 2)).reshape(2, 4, 6)
        found = maps_of(wrapped(net), x)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(found.sum((1, 2)), torch.ones(2))

    def test_what_the_map_lacks_went_to_tokens_off_the_grid(self):
        net = vit(reg_tokens=4)
        x = torch.randn(2, 3, *SIZE)
        off = unfused(net, net.blocks[-1].attn, x)[:, :, 0, :5].mean(1).sum(1)
        torch.testing.assert_close(maps_of(wrapped(net), x).sum((1, 2)) + off, torch.ones(2))

    def test_only_the_last_layer_is_read_at_the_class_token(self):
        layers = wrapped(vit(reg_tokens=4)).attention_layers
        assert [layer.readout for layer in layers] == [(), (0,)]
        assert {(layer.kind, layer.heads, layer.grid, layer.prefix) for layer in layers} == {
            ("Attention", 2, (4, 6), 5)
        }

    def test_a_distilled_vit_is_read_at_both_its_tokens(self):
        from timm.models.deit import VisionTransformerDistilled

        net = VisionTransformerDistilled(
            img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=2
        ).eval()
        model = wrapped(net, (32, 32))
        assert model.attention_layers[-1].readout == (0, 1)
        x = torch.randn(2, 3, 32, 32)
        expected = unfused(net, net.blocks[-1].attn, x)[:, :, :2, 2:].mean((1, 2))
        torch.testing.assert_close(maps_of(model, x), expected.reshape(2, 4, 4))


class TestTorchsMultiheadAttention:
    def test_equals_the_weights_it_gives_when_asked(self):
        net = Tokens().eval()
        x = torch.randn(3, 3, *SIZE)
        with torch.no_grad():
            inner = net.norm(net.tokens(x))
            _, weights = net.attention(inner, inner, inner, need_weights=True)
        expected = weights[:, 0, 1:].reshape(3, 4, 6)
        torch.testing.assert_close(maps_of(wrapped(net), x), expected)

    def test_is_read_in_torchvisions_vit(self):
        net = torchvision_vit()
        model = wrapped(net, (32, 32))
        x = torch.randn(2, 3, 32, 32)
        kept = []
        block = net.encoder.layers[-1]
        hook = block.ln_1.register_forward_hook(lambda _, __, output: kept.append(output))
        with torch.no_grad():
            net(x)
            hook.remove()
            _, weights = block.self_attention(kept[0], kept[0], kept[0], need_weights=True)
        torch.testing.assert_close(maps_of(model, x), weights[:, 0, 1:].reshape(2, 4, 4))

    def test_is_read_without_biases_and_in_torchs_own_encoder(self):
        class Encoder(Tokens):
            def __init__(self) -> None:
                super().__init__()
                layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
                self.encoder = nn.TransformerEncoder(layer, 2)

            def forward(self, x: Tensor) -> Tensor:
                return self.head(self.encoder(self.tokens(x))[:, 0])

        for net in (Tokens(bias=False), Encoder()):
            model = wrapped(net)
            found = maps_of(model, torch.randn(2, 3, *SIZE))
            assert model.attention_layers[-1].readout == (0,)
            assert found.shape == (2, 4, 6)
            assert (found.sum((1, 2)) < 1).all()

    def test_is_read_when_called_by_keyword(self):
        class Keywords(Tokens):
            def attend(self, x: Tensor) -> Tensor:
                return self.attention(query=x, key=x, value=x)[0]

        net = Keywords()
        positional = Tokens()
        positional.load_state_dict(net.state_dict())
        x = torch.randn(2, 3, *SIZE)
        assert torch.equal(maps_of(wrapped(net), x), maps_of(wrapped(positional), x))

    @pytest.mark.parametrize("case", ["mask", "another input"])
    def test_is_not_read_where_that_would_be_wrong(self, case):
        class Other(Tokens):
            def attend(self, x: Tensor) -> Tensor:
                if case == "mask":
                    mask = torch.zeros(x.shape[1], x.shape[1])
                    return self.attention(x, x, x, attn_mask=mask)[0]
                return self.attention(x, 2 * x, 2 * x)[0]

        with pytest.raises(MethodError, match="self-attention without a mask at 'attention'"):
            maps_of(wrapped(Other()), torch.randn(2, 3, *SIZE))

    @pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
    def test_is_not_read_with_keys_that_are_no_positions(self, option):
        assert wrapped(Tokens(**{option: True})).attention_layers == ()

    @pytest.mark.parametrize("options", [{"batch_first": False}, {"kdim": 4, "batch_first": True}])
    def test_is_not_read_in_other_forms(self, options):
        assert not is_attention(nn.MultiheadAttention(8, 2, **options))


class TestGlobalAttention:
    @pytest.mark.parametrize("heads", [1, 2, 6])
    def test_map_equals_the_explicit_weights(self, heads):
        net = Attending(heads).eval()
        x = torch.randn(3, 3, *SIZE)
        with torch.no_grad():
            features = net.bn2(net.conv2(net.conv1(x)))
            weights = net.ga.attention_weights(net.ga.query(features), net.ga.key(features))
        expected = weights.mean((1, 2)).reshape(3, 8, 12)
        torch.testing.assert_close(maps_of(wrapped(net), x), expected)

    def test_map_sums_to_1(self):
        found = maps_of(wrapped(Attending()), torch.randn(3, 3, *SIZE))
        torch.testing.assert_close(found.sum((1, 2)), torch.ones(3))
        assert (found >= 0).all()

    def test_every_block_of_the_hybrid_is_listed_in_order(self):
        model = wrapped(build("resnet18-ga", 2, stages=[4, 2]), (64, 96))
        assert [(layer.name, layer.grid) for layer in model.attention_layers] == [
            ("layer2.ga", (8, 12)),
            ("layer4.ga", (2, 3)),
        ]


NETS = {"ga": Attending, "timm": vit, "torch": Tokens}


@pytest.mark.parametrize("name", NETS)
def test_reading_does_not_change_the_logits(name):
    model = wrapped(NETS[name]().eval())
    x = torch.randn(3, 3, *SIZE)
    with torch.no_grad():
        plain = model.module(x)
    for gradients in (True, False):
        read = capture(model, x, gradients=gradients, attention=model.attention_layers)
        # Not bit for bit: torch's own layer leaves its fused path where it is hooked.
        torch.testing.assert_close(read.logits, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_each_image_of_a_batch_has_the_map_it_has_alone(name):
    model = wrapped(NETS[name]().eval())
    x = torch.randn(4, 3, *SIZE)
    together = maps_of(model, x)
    assert (together[0] - together[1]).abs().max() > 1e-5
    for i in range(4):
        torch.testing.assert_close(maps_of(model, x[i : i + 1])[0], together[i])


@pytest.mark.parametrize("name", NETS)
def test_reading_the_map_needs_nobody_to_train(name):
    model = wrapped(NETS[name]().requires_grad_(False))
    assert not maps_of(model, torch.randn(1, 3, *SIZE)).requires_grad


def test_attention_that_folds_its_windows_into_the_batch_is_not_read():
    """As mobilevit does: its maps would not be one per image, though they would fit a grid."""

    class Folding(Tokens):
        def __init__(self) -> None:
            super().__init__()
            self.fine = nn.Conv2d(3, 8, 4, 4)

        def forward(self, x: Tensor) -> Tensor:
            fine = self.fine(x).flatten(2).transpose(1, 2)  # 96 positions
            windows = fine.reshape(4 * len(x), 24, -1)  # 24, as the patches have
            mixed = self.attend(windows).reshape(len(x), 96, -1)
            return self.head(mixed.mean(1) + self.tokens(x).mean(1))

    model = wrapped(Folding())
    assert model.attention_layers == ()
    assert model.target_layer == "patches"


def test_attention_that_runs_twice_is_not_read():
    class Twice(Tokens):
        def attend(self, x: Tensor) -> Tensor:
            return super().attend(super().attend(x))

    assert wrapped(Twice()).attention_layers == ()


def test_a_convolutional_net_has_no_attention_layers():
    assert wrapped(torchvision.models.resnet18(num_classes=2), (64, 64)).attention_layers == ()
