"""Who looks where, in every form a layer has it: laws, and slow twins that build the matrix."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.models.nets import SIZE, Conv, Tokens, vit, wrapped
from xattn.attribution.passes.capture import capture
from xattn.errors import UsageError
from xattn.models import Model
from xattn.models.architectures.global_attention import GlobalAttention
from xattn.models.architectures.local_attention import EmbeddedLocalAttention, LocalAttention
from xattn.models.attention import AttentionLayer, SparseWeights, Weights, attention_map
from xattn.models.attention.readers import neighbours
from xattn.models.attention.swin import Windows


class Attending(Conv):
    """A convolutional net with an attention block before the average: grid 8 x 12."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        nn.init.constant_(block.gate, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.bn2(self.conv2(self.conv1(x)))).mean((2, 3)))


def biased() -> GlobalAttention:
    block = GlobalAttention(6, 2, position="relative")
    nn.init.normal_(block.relative.head.weight)
    return block


def seen_by_windows(module: nn.Module) -> nn.Module:
    """Give Swin's position biases a size that matters."""
    for name, parameter in module.named_parameters():
        if name.endswith("relative_position_bias_table"):
            nn.init.normal_(parameter)
    return module


def timm_swin(size: tuple[int, int] = (64, 96), window: int = 4) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    net = SwinTransformer(
        img_size=size, patch_size=4, window_size=window, embed_dim=28, depths=(2, 2),
        num_heads=(1, 2), num_classes=2,
    )  # fmt: skip
    return seen_by_windows(net).eval()


def torchvision_swin(window: int = 4) -> nn.Module:
    from torchvision.models import SwinTransformer

    net = SwinTransformer(
        patch_size=[4, 4], embed_dim=28, depths=[2, 2], num_heads=[1, 2],
        window_size=[window, window], num_classes=2,
    )  # fmt: skip
    return seen_by_windows(net).eval()


NETS = {
    "ga": lambda: wrapped(Attending(GlobalAttention(6, 2)).eval()),
    "ga with positions": lambda: wrapped(Attending(biased()).eval()),
    "la": lambda: wrapped(Attending(LocalAttention(6, 2, 5)).eval()),
    "la wider than the map": lambda: wrapped(Attending(LocalAttention(6, 2, 17)).eval()),
    "ela": lambda: wrapped(Attending(EmbeddedLocalAttention(6, 2, 3, 2)).eval()),
    "vit": lambda: wrapped(vit(reg_tokens=2)),
    "multihead attention": lambda: wrapped(Tokens().eval()),
    "swin": lambda: wrapped(timm_swin(), (64, 96)),
    "padded swin": lambda: wrapped(timm_swin((68, 92), 5), (68, 92)),
    "torchvision swin": lambda: wrapped(torchvision_swin(), (64, 96)),
    "padded torchvision swin": lambda: wrapped(torchvision_swin(5), (68, 92)),
}


def weights_of(model: Model, n: int = 2) -> dict[AttentionLayer, Weights]:
    x = torch.randn(n, 3, *model.preprocessing.size)
    return capture(model, x, gradients=False, attention=model.attention_layers).attention


@pytest.mark.parametrize("name", NETS)
class TestEveryForm:
    def test_is_read_in_every_layer(self, name):
        model = NETS[name]()
        expected = {"vit": 2, "swin": 4}.get(name.split()[-1], 1)
        assert len(model.attention_layers) == expected

    def test_says_the_same_by_rows_received_and_as_a_matrix(self, name):
        for layer, weights in weights_of(NETS[name]()).items():
            dense = weights.dense()
            assert dense.shape == (2, layer.heads, weights.positions, weights.positions)
            assert weights.positions == layer.prefix + layer.grid[0] * layer.grid[1]
            assert (dense >= 0).all()
            chosen = [0, weights.positions - 1, 3]
            torch.testing.assert_close(weights.rows(chosen), dense[:, :, chosen])
            torch.testing.assert_close(weights.received(), dense.mean(2))

    def test_gives_every_position_a_sum_of_1_but_for_padding(self, name):
        for weights in weights_of(NETS[name]()).values():
            sums = weights.dense().sum(-1)
            if name.startswith("padded"):
                assert (sums <= 1 + 1e-6).all()
            else:
                torch.testing.assert_close(sums, torch.ones_like(sums))

    def test_maps_conserve_mass(self, name):
        for layer, weights in weights_of(NETS[name]()).items():
            dense = weights.dense()
            rows = dense[:, :, list(layer.readout)] if layer.readout else dense
            expected = rows[..., layer.prefix :].sum(-1).mean((1, 2))
            maps = attention_map(layer, weights)
            assert maps.shape == (2, *layer.grid)
            torch.testing.assert_close(maps.sum((1, 2)), expected)

    def test_map_of_a_query_is_its_row(self, name):
        for layer, weights in weights_of(NETS[name]()).items():
            row, column = layer.grid[0] - 1, 1
            found = attention_map(layer, weights, query=(row, column))
            position = layer.prefix + row * layer.grid[1] + column
            expected = weights.dense()[:, :, position, layer.prefix :].mean(1)
            torch.testing.assert_close(found.flatten(1), expected)

    def test_maps_by_head_average_to_the_map(self, name):
        for layer, weights in weights_of(NETS[name]()).items():
            for query in (None, (0, 0)):
                by_head = attention_map(layer, weights, query=query, by_head=True)
                assert by_head.shape == (2, layer.heads, *layer.grid)
                found = attention_map(layer, weights, query=query)
                torch.testing.assert_close(by_head.mean(1), found)

    @pytest.mark.parametrize("query", [(-1, 0), (0, -1), (99, 0), (0, 99)])
    def test_a_query_off_the_grid_is_refused(self, name, query):
        model = NETS[name]()
        (layer, weights), *_ = weights_of(model, 1).items()
        with pytest.raises(UsageError, match=f"Expected a query on the .* grid of '{layer.name}'"):
            attention_map(layer, weights, query=query)

    def test_each_image_of_a_batch_has_what_it_has_alone(self, name):
        model = NETS[name]()
        x = torch.randn(3, 3, *model.preprocessing.size)
        layers = model.attention_layers
        together = capture(model, x, gradients=False, attention=layers).attention
        alone = capture(model, x[1:2], gradients=False, attention=layers).attention
        for layer in layers:
            torch.testing.assert_close(together[layer].received()[1:2], alone[layer].received())

    def test_reading_leaves_the_logits_alone(self, name):
        model = NETS[name]()
        x = torch.randn(2, 3, *model.preprocessing.size)
        with torch.no_grad():
            plain = model.module(x)
        read = capture(model, x, attention=model.attention_layers).logits
        torch.testing.assert_close(read, plain, rtol=1e-5, atol=1e-6)


class TestThisProjectsBlocks:
    def test_global_attention_with_positions_reads_as_the_explicit_weights(self):
        net = Attending(biased()).eval()
        model = wrapped(net)
        x = torch.randn(2, 3, *SIZE)
        with torch.no_grad():
            features = net.bn2(net.conv2(net.conv1(x)))
            expected = net.block.attention_weights(
                net.block.query(features), net.block.key(features)
            )
        (weights,) = capture(model, x, attention=model.attention_layers).attention.values()
        torch.testing.assert_close(weights.dense(), expected)

    @pytest.mark.parametrize(("kind", "side"), [("la", 5), ("ela", 3), ("la", 17)])
    def test_local_attention_reads_as_its_windows_laid_out_one_by_one(self, kind, side):
        block = (
            LocalAttention(6, 2, side) if kind == "la" else EmbeddedLocalAttention(6, 2, side, 2)
        )
        net = Attending(block).eval()
        model = wrapped(net)
        x = torch.randn(2, 3, *SIZE)
        with torch.no_grad():
            inner = net.bn2(net.conv2(net.conv1(x)))
            inner = block.embed(inner) if kind == "ela" else inner
            windows = block.attention_weights(block.query(inner), block.key(inner))
        expected = torch.zeros(2, 2, 8, 12, 8, 12)
        for y in range(8):
            for i in range(side):
                for j in range(side):
                    for col in range(12):
                        there = y + i - side // 2, col + j - side // 2
                        if 0 <= there[0] < 8 and 0 <= there[1] < 12:
                            expected[:, :, y, col, *there] = windows[:, :, i, j, y, col]
        (weights,) = capture(model, x, attention=model.attention_layers).attention.values()
        torch.testing.assert_close(weights.dense(), expected.flatten(4).flatten(2, 3))

    def test_neighbours_are_numbered_row_by_row(self):
        found = neighbours(2, 3, 3).view(2, 3, 3, 3)
        assert found[0, 1].tolist() == [[6, 6, 6], [0, 1, 2], [3, 4, 5]]
        assert found[1, 2].tolist() == [[1, 2, 6], [4, 5, 6], [6, 6, 6]]


def mark(attention: nn.Module) -> None:
    """Have a Swin layer pass on its last input channel as every value, unseen by q and k."""
    width = attention.proj.out_features
    with torch.no_grad():
        attention.qkv.weight[:, -1] = 0
        attention.qkv.weight[2 * width :] = 0
        attention.qkv.weight[2 * width :, -1] = 1
        attention.qkv.bias[2 * width :] = 0
        attention.proj.weight.copy_(torch.eye(width))
        attention.proj.bias.zero_()


@torch.no_grad()
def mixed(attend: Callable[[Tensor], Tensor], x: Tensor, heads: int) -> Tensor:
    """The matrix of a marked layer for one image (h, w, C), by its own pass, with no window in it.

    As many copies of the image as positions, each with another position marked: what comes out at
    i is what i gives to the marked one. (heads, positions, positions).
    """
    h, w, width = x.shape
    copies = x.repeat(h * w, 1, 1, 1)
    copies[..., -1] = torch.eye(h * w).view(h * w, h, w)
    given = attend(copies).reshape(h * w, h * w, heads, width // heads)
    return given[..., 0].permute(2, 1, 0)


SIZES = [((32, 48), 4), ((36, 44), 5), ((32, 48), 8), ((64, 32), 16), ((36, 52), 3)]


@pytest.mark.parametrize(("size", "window"), SIZES)
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_swin_reads_as_the_matrix_that_its_own_pass_mixes_by(library, size, window):
    net = timm_swin(size, window) if library == "timm" else torchvision_swin(window)
    model = wrapped(net, size)
    layers = {layer: net.get_submodule(layer.name) for layer in model.attention_layers}
    assert len(layers) == 4
    inputs: dict[str, Tensor] = {}
    for layer, part in layers.items():
        mark(part.attn if library == "timm" else part)
        where = part.norm1 if library == "timm" else part

        def keep(_part: nn.Module, given: tuple, output: Tensor, name: str = layer.name) -> None:
            inputs[name] = (output if library == "timm" else given[0]).detach()

        where.register_forward_hook(keep)
    x = torch.randn(2, 3, *size)
    read = capture(model, x, gradients=False, attention=list(layers)).attention
    for layer, part in layers.items():
        attend = part._attn if library == "timm" else part
        given = inputs[layer.name].clone()
        for image in range(2):
            expected = mixed(attend, given[image], layer.heads)
            found = read[layer].dense()[image]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_shifted_windows_follow_the_roll():
    """A map of 4 x 4 in windows of 2, shifted by 1: the corner window sees the four corners."""
    windows = Windows.cut((4, 4), (2, 2), (1, 1), roll_first=True)
    assert windows.places.tolist() == [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    assert not windows.apart[0].any()
    assert windows.apart[3].sum() == 12  # all but the diagonal


def test_sparse_weights_add_up_what_meets_in_one_position():
    weights = SparseWeights(
        torch.tensor([[[[0.25, 0.75], [0.5, 0.5]]]]), torch.tensor([[1, 1], [0, 2]])
    )
    assert weights.dense()[0, 0].tolist() == [[0, 1], [0.5, 0]]
    assert weights.received()[0, 0].tolist() == [0.25, 0.5]
