"""The graphs of the attention blocks are those of the code."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from tests.figures.artists import drawn, overhang, words
from xattn.figures.drawing.block_graph import Trace, trace, without_views
from xattn.figures.drawing.layered import lay_out
from xattn.figures.paper.blocks import BLOCKS, draw_block
from xattn.figures.registry import FIGURES
from xattn.models.architectures.blocks import ATTENTION
from xattn.models.architectures.global_attention import GlobalAttention

CHANNELS, SIZE = 32, (2, 32, 5, 6)


def built(name):
    """A block with weights that leave nothing at zero."""
    torch.manual_seed(0)
    block = ATTENTION[name](CHANNELS).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block


def test_every_attention_block_has_a_figure():
    assert set(BLOCKS) == set(ATTENTION)
    assert {f"block-{name}" for name in ATTENTION} <= set(FIGURES)


@pytest.mark.parametrize("name", ATTENTION)
def test_the_recorded_steps_are_the_block(name):
    block = built(name)
    found = trace(block, torch.randn(SIZE))
    x = torch.randn(SIZE)
    with torch.no_grad():
        again = found.run_again(x.clone(), dict(block.named_parameters()))
        torch.testing.assert_close(again, block(x.clone()))


@pytest.mark.parametrize("name", ATTENTION)
def test_submodules_and_parameters_of_the_block_are_those_in_the_drawing(name):
    block = ATTENTION[name](CHANNELS)
    parts = [n for n, m in block.named_modules() if n and not list(m.children())]
    own = [n for n, _ in block.named_parameters() if n.rpartition(".")[0] not in parts]
    fig = drawn(draw_block, name)
    in_boxes = {t.get_text().split("\n")[0] for t in fig.axes[0].texts if "\n" in t.get_text()}
    steps = trace(block.eval(), torch.randn(SIZE)).steps
    named = {s.name for s in steps if s.kind in ("module", "parameter")}
    assert named == {*parts, *own}
    assert named <= in_boxes
    assert in_boxes - named <= {"x", "y", *(t for t in in_boxes if t[0] in "sd")}
    assert overhang(fig) < 0.2


class Normed(GlobalAttention):
    """A block that someone changed."""

    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        normed = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return super().forward(normed).sigmoid()


class Idle(GlobalAttention):
    """A block with a part that nothing calls."""

    def __init__(self, channels):
        super().__init__(channels)
        self.idle = nn.Linear(channels, channels)


def test_a_change_of_the_code_changes_the_figure(monkeypatch):
    before = words(drawn(draw_block, "ga"))
    monkeypatch.setitem(ATTENTION, "ga", Normed)
    after = words(drawn(draw_block, "ga"))
    assert "LayerNorm" in after
    assert "sigmoid" in after
    assert "LayerNorm" not in before
    assert "sigmoid" not in before


def test_a_part_that_takes_no_part_is_an_error(monkeypatch):
    monkeypatch.setitem(ATTENTION, "ga", Idle)
    with pytest.raises(ValueError, match="no use of idle"):
        draw_block("ga")


def test_tracing_leaves_no_hook_and_no_function_replaced():
    from xattn.models.architectures import local_attention

    block, attend = built("ela"), local_attention.attend
    trace(block, torch.randn(SIZE))
    assert local_attention.attend is attend
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in block.modules())


@pytest.mark.parametrize("name", ATTENTION)
def test_shapes_are_written_in_symbols(name):
    said = words(drawn(draw_block, name))
    assert "C × h × w" in said
    assert not any(size in said for size in ("352", "65", "13"))


def test_views_are_no_nodes_of_their_own():
    found = trace(built("ga"), torch.randn(SIZE))
    nodes, edges = without_views(found)
    assert {found.steps[n].name for n in nodes}.isdisjoint({"reshape", "transpose"})
    assert {e.source for e in edges} | {e.target for e in edges} == set(nodes)
    assert isinstance(found, Trace)


def test_a_layout_keeps_boxes_apart_and_long_edges_out_of_them():
    layer = {0: 0, 1: 1, 2: 1, 3: 2, 4: 3}
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]
    widths = dict.fromkeys(layer, 10.0)
    place = lay_out(layer, edges, widths, gap=2, lane=2)
    for at in set(layer.values()):
        boxes = sorted((place.x[n] - 5, place.x[n] + 5) for n in layer if layer[n] == at)
        assert all(a[1] + 2 <= b[0] + 1e-6 for a, b in pairwise(boxes))
        if at in (1, 2):
            lane = place.paths[0, 4][at]
            assert all(lane <= left - 2 or lane >= right + 2 for left, right in boxes)
    assert place.width <= 2 * 10 + 2 * 2 + 2 + 1e-6 + 10
