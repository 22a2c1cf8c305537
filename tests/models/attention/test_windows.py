"""Windows noted while they run: their weights are the host's own, and lie where it mixes."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from tests.models.attention.test_watched import Logits, hugging_face, moved
from tests.models.nets import wrapped
from xattn.attribution.passes.capture import capture
from xattn.models import Model
from xattn.models.attention.windows import strided


def timm_swin_v2(size: tuple[int, int] = (64, 96), window: int = 4) -> nn.Module:
    from timm.models.swin_transformer_v2 import SwinTransformerV2

    return SwinTransformerV2(
        img_size=size, patch_size=4, window_size=window, embed_dim=16, depths=(2, 2),
        num_heads=(1, 2), num_classes=2,
    )  # fmt: skip


def timm_swin_v2_cr() -> nn.Module:
    from timm.models.swin_transformer_v2_cr import SwinTransformerV2Cr

    return SwinTransformerV2Cr(
        img_size=(64, 96), patch_size=4, window_size=4, embed_dim=16, depths=(2, 2),
        num_heads=(1, 2), num_classes=2,
    )  # fmt: skip


def torchvision_swin_v2(window: int = 4) -> nn.Module:
    from torchvision.models import swin_transformer as swin

    return swin.SwinTransformer(
        patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[1, 2],
        window_size=[window, window], num_classes=2, block=swin.SwinTransformerBlockV2,
        downsample_layer=swin.PatchMergingV2,
    )  # fmt: skip


def hugging_face_swin(kind: str, window: int = 4) -> nn.Module:
    return Logits(hugging_face(
        kind, "eager", image_size=[64, 96], patch_size=4, embed_dim=16, depths=[2, 2],
        num_heads=[1, 2], window_size=window,
    ))  # fmt: skip


class Patches(nn.Module):
    """One block on a map of channels."""

    def __init__(self, block: nn.Module, last: bool = False) -> None:
        super().__init__()
        self.patches, self.block, self.last = nn.Conv2d(3, 32, 4, 4), block, last
        self.fc = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        x = self.block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.last else self.block(x)
        return self.fc(x.mean((2, 3)))


def maxvit(kind: str, channels_last: bool) -> nn.Module:
    from timm.models import maxxvit

    config = maxxvit.MaxxVitTransformerCfg(
        dim_head=16, window_size=(4, 4), grid_size=(4, 4), rel_pos_type="bias"
    )
    cls = maxxvit.PartitionAttentionCl if channels_last else maxxvit.PartitionAttention2d
    return Patches(cls(32, kind, config), channels_last)


def mobilevit() -> nn.Module:
    from timm.models.mobilevit import MobileVitBlock

    block = MobileVitBlock(
        32, transformer_dim=32, patch_size=2, transformer_depth=1, no_fusion=True
    )
    block.conv_kxk = nn.Identity()  # so that nothing but its attention mixes places
    return Patches(block)


NETS = {
    "timm swin v2": (timm_swin_v2, (64, 96)),
    "timm swin v2, padded": (lambda: timm_swin_v2((60, 84), 4), (60, 84)),
    "timm swin v2 cr": (timm_swin_v2_cr, (64, 96)),
    "torchvision swin v2": (torchvision_swin_v2, (64, 96)),
    "torchvision swin v2, padded": (lambda: torchvision_swin_v2(5), (64, 96)),
    "hugging face swin": (lambda: hugging_face_swin("Swin"), (64, 96)),
    "hugging face swin, padded": (lambda: hugging_face_swin("Swin", 5), (64, 96)),
    "hugging face swin v2": (lambda: hugging_face_swin("Swinv2"), (64, 96)),
    "maxvit block": (lambda: maxvit("block", True), (32, 48)),
    "maxvit grid": (lambda: maxvit("grid", True), (32, 48)),
    "maxvit block, channels first": (lambda: maxvit("block", False), (32, 48)),
    "maxvit grid, channels first": (lambda: maxvit("grid", False), (32, 48)),
    "mobilevit": (mobilevit, (32, 48)),
}


def read(model: Model, x: Tensor) -> dict[str, Tensor]:
    layers = model.attention_layers
    found = capture(model, x, gradients=False, attention=layers).attention
    return {layer.name: found[layer].dense() for layer in layers}


def inputs_of(net: nn.Module, names: list[str], x: Tensor) -> dict[str, tuple[tuple, dict]]:
    """What each layer is called with."""
    kept: dict[str, Any] = {}
    for name in names:

        def keep(_: nn.Module, given: tuple, named: dict, name: str = name) -> None:
            kept[name] = given, named

        net.get_submodule(name).register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        net(x)
    return kept


def laid_out(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """(n, positions, C) of any layout."""
    if x.ndim == 3:
        return x
    return (x if tuple(x.shape[1:3]) == grid else x.permute(0, 2, 3, 1)).flatten(1, 2)


@pytest.mark.parametrize("name", NETS)
def test_a_position_sees_what_moves_its_output_and_nothing_else(name):
    make, size = NETS[name]
    net = moved(make())
    model = wrapped(net, size)
    x = torch.randn(1, 3, *size)
    weights = read(model, x)
    layers = {layer.name: layer for layer in model.attention_layers}
    assert len(layers) == (4 if "swin" in name else 1)
    for path, ((given, *others), named) in inputs_of(net, [*layers], x).items():
        grid, part = layers[path].grid, net.get_submodule(path)
        last = given.ndim == 3 or tuple(given.shape[1:3]) == grid
        flat = laid_out(given, grid)[0]
        chosen = torch.randperm(len(flat))[:6].tolist()
        moved_inputs = flat.repeat(len(chosen) + 1, 1, 1)
        for row, position in enumerate(chosen):
            moved_inputs[row + 1, position] += 1 + torch.rand(flat.shape[1])
        batch = moved_inputs.reshape(len(moved_inputs), *grid, -1)
        batch = moved_inputs if given.ndim == 3 else batch if last else batch.permute(0, 3, 1, 2)
        with torch.no_grad():
            out = part(batch.contiguous(), *others, **named)
        out = laid_out(out[0] if isinstance(out, tuple) else out, grid)
        for row, position in enumerate(chosen):
            changed = (out[row + 1] - out[0]).abs().amax(-1) > 1e-5
            given_to = weights[path][0, :, :, position].amax(0)
            changed[position] = False
            given_to[position] = 0
            assert changed.any()
            assert (given_to[changed] > 1e-30).all()  # what is masked has e^-100
            assert changed[given_to > 1e-2].all()


@pytest.mark.parametrize("name", ["timm swin v2", "hugging face swin", "hugging face swin v2"])
def test_weights_within_windows_are_those_that_the_host_builds(name):
    make, size = NETS[name]
    net = moved(make())
    model = wrapped(net, size)
    x = torch.randn(2, 3, *size)
    found = read(model, x)
    kept: dict[str, Tensor] = {}
    for path in found:
        for part in net.get_submodule(path).modules():
            if type(part).__name__ in ("WindowAttention", "SwinAttention", "Swinv2SelfAttention"):
                drop = getattr(part, "attn_drop", None) or getattr(part, "dropout", None)

                def keep(_: nn.Module, given: tuple, out: Any, path: str = path) -> None:
                    kept[path] = given[0] if isinstance(out, Tensor) else out[1]

                (drop or part).register_forward_hook(keep)
    with torch.no_grad():
        net(x)
    for path, dense in found.items():
        area = kept[path].shape[-1]
        values = dense[dense > 1e-12].sort().values
        expected = kept[path][kept[path] > 1e-12].sort().values
        assert area == 16
        torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)


def test_positions_a_step_apart_are_one_window():
    windows = strided((4, 6), (2, 2))
    assert windows.places.tolist()[0] == [0, 2, 4, 12, 14, 16]
    assert windows.places.tolist()[3] == [7, 9, 11, 19, 21, 23]


def test_a_mobilevit_whose_map_is_resized_before_it_attends_is_not_read_and_named():
    model = wrapped(timm.create_model("mobilevit_xxs", num_classes=2).eval(), (64, 96))
    assert [layer.name for layer in model.attention_layers] == ["stages.2.1", "stages.3.1"]
    assert model.unread_in_words() == "Attention (stages.4.1.transformer.0.attn, ...)"
