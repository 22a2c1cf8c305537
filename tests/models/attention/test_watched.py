"""Attention noted while it runs equals the weights that the host library builds itself."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.models.nets import SIZE, vit, wrapped
from xattn import attribute
from xattn.attribution.methods.attention import Attention
from xattn.attribution.methods.rollout import Rollout
from xattn.attribution.passes.capture import capture
from xattn.errors import MethodError, UsageError
from xattn.models import Model
from xattn.models.attention import attention_map
from xattn.models.attention.watching import Watching, dense_weights, watch

SMALL = {"img_size": SIZE, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2,
         "num_classes": 2}  # fmt: skip


def eva(**options: object) -> nn.Module:
    from timm.models.eva import Eva

    return Eva(**{**SMALL, "use_rot_pos_emb": True, **options})


def beit(**options: object) -> nn.Module:
    from timm.models.beit import Beit

    return Beit(**{**SMALL, **options})


def relpos() -> nn.Module:
    from timm.models.vision_transformer_relpos import VisionTransformerRelPos

    return VisionTransformerRelPos(**SMALL)


def cait() -> nn.Module:
    from timm.models.cait import Cait

    return Cait(**{**SMALL, "init_values": 1.0})


def moved(net: nn.Module) -> nn.Module:
    """Give tables of biases and tokens a size that matters."""
    torch.manual_seed(3)
    for name, parameter in net.named_parameters():
        if "table" in name or name.endswith(("_bias", "token", "latent")):
            nn.init.normal_(parameter)
    for part in net.modules():
        if isinstance(part, nn.LayerNorm):  # Swin V2's after its attention begin at 0
            nn.init.ones_(part.weight)
    return net.eval()


TIMM = {
    "eva": (eva, SIZE),
    "eva, class token": (lambda: eva(global_pool="token"), SIZE),
    "dinov3": (lambda: eva(num_reg_tokens=4, rope_type="dinov3", rope_rotate_half=True,
                           qkv_fused=False, use_abs_pos_emb=False), SIZE),
    "eva, norms": (lambda: eva(qk_norm=True, scale_attn_inner=True), SIZE),
    "beit": (lambda: beit(use_rel_pos_bias=True), SIZE),
    "beit, shared": (lambda: beit(use_shared_rel_pos_bias=True), SIZE),
    "relative positions": (relpos, SIZE),
    "coatnet": (lambda: timm.create_model("test_coatnet", num_classes=2, img_size=64), (64, 64)),
}  # fmt: skip


def read(model: Model, x: Tensor) -> dict[str, Tensor]:
    layers = model.attention_layers
    found = capture(model, x, gradients=False, attention=layers).attention
    return {layer.name: found[layer].dense() for layer in layers}


def built(net: nn.Module, names: list[str], x: Tensor) -> dict[str, Tensor]:
    """The weights as timm's slower path builds them, in its graph."""
    kept: dict[str, Tensor] = {}
    for name in names:
        part = net.get_submodule(name)
        part.fused_attn = False

        def keep(_: nn.Module, given: tuple, name: str = name) -> None:
            kept[name] = given[0]
            if given[0].requires_grad:
                given[0].retain_grad()

        part.attn_drop.register_forward_pre_hook(keep)
    kept["logits"] = net(x)
    return kept


@pytest.mark.parametrize("name", TIMM)
def test_timms_weights_equal_those_of_its_slower_path(name):
    make, size = TIMM[name]
    net = moved(make())
    model = wrapped(net, size)
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        plain = net(x)
    found = read(model, x)
    assert len(found) >= 2
    torch.testing.assert_close(model.logits(x), plain)
    with torch.no_grad():
        expected = built(net, list(found), x)
    for layer, weights in found.items():
        torch.testing.assert_close(weights, expected[layer], rtol=1e-5, atol=1e-5)


def test_an_eva_that_reads_its_class_token_shows_that_token_s_row():
    model = wrapped(moved(eva(global_pool="token")))
    assert [layer.readout for layer in model.attention_layers] == [(), (0,)]
    assert {layer.prefix for layer in model.attention_layers} == {1}


class TestPooling:
    def test_the_pool_of_a_vit_shows_what_its_queries_look_at(self):
        net = moved(vit(global_pool="map", class_token=False, reg_tokens=2))
        model = wrapped(net)
        *_, layer = model.attention_layers
        assert (layer.name, layer.pools, layer.grid, layer.prefix) == ("attn_pool", True, (4, 6), 0)
        x = torch.randn(2, 3, *SIZE)
        kept = []
        net.attn_pool.q_norm.register_forward_hook(lambda *a: kept.append(a[-1]))
        net.attn_pool.k_norm.register_forward_hook(lambda *a: kept.append(a[-1]))
        found = attribute(model, x, "attention")
        q, k = kept[-2:]
        expected = (q * net.attn_pool.scale @ k.transpose(-2, -1)).softmax(-1).mean((1, 2))
        torch.testing.assert_close(found.flatten(1), expected, rtol=1e-5, atol=1e-6)

    def test_rollout_begins_with_what_the_pool_reads(self):
        model = wrapped(moved(vit(global_pool="map", class_token=False)))
        x = torch.randn(2, 3, *SIZE)
        Rollout().check(model)
        layers = model.attention_layers
        kept = capture(model, x, gradients=False, attention=layers).attention
        row = kept[layers[-1]].received().mean(1)[:, None]
        for layer in layers[-2::-1]:
            row = (row + row @ kept[layer].dense().mean(1)) / 2
        torch.testing.assert_close(attribute(model, x, "rollout").flatten(1), row[:, 0])

    def test_maps_of_a_pool_lie_on_its_tokens(self):
        for make in (lambda: vit(global_pool="map", class_token=False), cait):
            model = wrapped(moved(make()))
            x = torch.randn(1, 3, *SIZE)
            assert attribute(model, x, "attention", upsample=True).shape == (1, *SIZE)
            cells = Attention().cells(model)
            assert cells.grid == (4, 6)
            assert cells.y[0] == pytest.approx(3.5, abs=0.5)

    def test_no_position_of_a_pool_attends(self):
        model = wrapped(moved(vit(global_pool="map", class_token=False)))
        layer = model.attention_layers[-1]
        weights = capture(model, torch.randn(1, 3, *SIZE), attention=[layer]).attention[layer]
        with pytest.raises(UsageError, match="its queries are no positions"):
            attention_map(layer, weights, query=(0, 0))

    def test_class_attention_is_read_and_talking_heads_are_named(self):
        net = moved(cait())
        model = wrapped(net)
        names = [layer.name for layer in model.attention_layers]
        assert names == ["blocks_token_only.0.attn", "blocks_token_only.1.attn"]
        assert model.unread_in_words() == "TalkingHeadAttn (blocks.0.attn, ...)"
        x = torch.randn(2, 3, *SIZE)
        found = attribute(model, x, "attention")
        expected = built(net, names, x)[names[-1]].mean((1, 2))
        torch.testing.assert_close(found.flatten(1), expected[:, 1:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [eva, lambda: beit(use_rel_pos_bias=True)])
def test_gradient_rollout_equals_that_of_weights_in_the_graph(make):
    net = moved(make())
    x = torch.randn(2, 3, *SIZE)
    found = attribute(wrapped(net), x, "gradient-rollout", 1)
    names = ["blocks.0.attn", "blocks.1.attn"]
    graph = built(net, names, x)
    graph["logits"][:, 1].sum().backward()
    start = torch.zeros(2, 1, 25)
    start[..., 1:] = 1 / 24  # the mean of all patches is read
    row = start
    for name in names[::-1]:
        flow = (graph[name] * graph[name].grad).clamp(min=0).mean(1)
        row = row + row @ flow
    expected = (row - start).clamp(min=0)[:, 0, 1:]
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-4, atol=1e-7)


class TestWatching:
    def test_masks_scales_and_shared_keys_are_part_of_what_is_noted(self):
        torch.manual_seed(0)
        q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
        mask = torch.ones(5, 5).tril().bool()
        options: list[dict] = [
            {"enable_gqa": True},
            {"enable_gqa": True, "scale": 0.3, "attn_mask": mask},
            {"enable_gqa": True, "is_causal": True},
            {"enable_gqa": True, "attn_mask": torch.randn(2, 4, 5, 5)},
            {"enable_gqa": True, "attn_mask": torch.randn(5, 5)},
        ]
        for named in options:
            notes: dict[str, Tensor] = {"calls": torch.ones(())}
            with Watching(notes.update):
                mixed = F.scaled_dot_product_attention(q, k, v, **named)
            torch.testing.assert_close(dense_weights(notes).dense() @ notes["value"], mixed)

    def test_a_layer_that_attends_twice_is_refused(self):
        class Twice(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                x = F.scaled_dot_product_attention(x, x, x)
                return F.scaled_dot_product_attention(x, x, x)

        from contextlib import ExitStack

        notes: dict[str, Tensor] = {}
        part = Twice()
        with ExitStack() as stack:
            watch(stack, part, notes)
            part(torch.randn(1, 2, 3, 4))
        with pytest.raises(MethodError, match="attends once, but it did 2 times"):
            dense_weights(notes)

    def test_nothing_is_watched_any_more_when_a_layer_has_raised(self):
        class Raising(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                raise ValueError("odd")

        from contextlib import ExitStack

        from torch.overrides import _get_current_function_mode_stack

        with ExitStack() as stack:
            watch(stack, part := Raising(), {})
            with pytest.raises(ValueError, match="odd"):
                part(torch.zeros(1))
        assert not _get_current_function_mode_stack()


def hugging_face(kind: str, implementation: str, **options: object) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    plain = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 32, "image_size": 32, "patch_size": 8}  # fmt: skip
    sizes = options if "embed_dim" in options else {**plain, **options}
    named = {"num_labels": 2, "attn_implementation": implementation, **sizes}
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**named)
    return moved(getattr(transformers, f"{kind}ForImageClassification")(config))


HUGGING_FACE = {
    "ViT": {},
    "DeiT": {},
    "Beit": {"use_relative_position_bias": True},
    "Dinov2": {},
    "Dinov2WithRegisters": {"num_register_tokens": 4},
}


class Logits(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).logits


@pytest.mark.parametrize("kind", HUGGING_FACE)
def test_hugging_faces_weights_equal_those_that_it_returns(kind):
    options = HUGGING_FACE[kind]
    fused, eager = (hugging_face(kind, how, **options) for how in ("sdpa", "eager"))
    eager.load_state_dict(fused.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for net in (fused, eager):
        found = read(wrapped(Logits(net), (32, 32)), x)
        with torch.no_grad():
            expected = eager(x, output_attentions=True).attentions
        assert len(found) == len(expected) == 2
        for weights, given in zip(found.values(), expected, strict=True):
            torch.testing.assert_close(weights, given, rtol=1e-5, atol=1e-5)


def test_rollout_and_gradient_rollout_are_had_of_hugging_faces_vit():
    model = wrapped(Logits(hugging_face("ViT", "sdpa")), (32, 32))
    x = torch.randn(2, 3, 32, 32)
    for method in ("attention", "rollout", "gradient-rollout", "attnlrp"):
        maps = attribute(model, x, method, 0)
        assert maps.isfinite().all()
        assert maps.any()


def test_a_model_without_attention_that_is_read_says_what_it_has():
    class Softmax(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.patches(x).flatten(2).transpose(1, 2)
            return self.fc(((x @ x.transpose(1, 2)).softmax(-1) @ x).mean(1))

    model = wrapped(Softmax().eval())
    assert model.unread_attention == ("",)
    with pytest.raises(MethodError, match=r"none that can be read: it has Softmax \(the network"):
        attribute(model, torch.randn(1, 3, *SIZE), "attention")
