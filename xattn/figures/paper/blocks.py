"""The computational graphs of the attention blocks, drawn from the blocks themselves.

Each block runs once on a small input; what it calls is what is drawn (`block_graph`). So a change
of the code changes the figure, and a part that no call reaches is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from xattn.figures import style
from xattn.figures.drawing.layered import Layout, lay_out
from xattn.figures.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xattn.figures.drawing.block_graph import Edge, Shape, Step, Trace

BLOCKS = {
    "ga": "global self-attention (GA)",
    "la": "local self-attention (LA)",
    "ela": "embedded local self-attention (ELA)",
}

# Sizes that share no value, product or quotient, so that each can be told by its number.
_N, _H, _W, _C = 3, 5, 13, 352

_LAYER_MM, _BOX_MM, _SIGN_MM = 13.5, 7.6, 6.0
_LETTER_MM, _MARGIN_MM = 1.28, 3.0  # of 6 points; around the words in a box
_GAP_MM, _LANE_MM = 2.5, 2.0
_COLOURS = {"module": "blue", "parameter": "orange"}
_SIGNS = {"add": "+", "mul": "×"}


def draw_block(name: str) -> Figure:
    """Draw the graph of one block: "ga", "la" or "ela", with its options at their defaults."""
    import torch

    from xattn.figures.drawing.block_graph import layers_of, trace, without_views
    from xattn.models.architectures.blocks import ATTENTION

    block = ATTENTION[name](_C).eval()
    found = trace(block, torch.zeros(_N, _C, _H, _W))
    nodes, edges = without_views(found)
    symbols = _symbols(block)
    place = lay_out(
        layers_of(nodes, edges),
        [(e.source, e.target) for e in edges],
        {n: _width(found.steps[n], symbols) for n in nodes},
        _GAP_MM,
        _LANE_MM,
    )
    depth = 1 + max(place.layer.values())
    width = next((w for w in (style.column_mm(), style.text_mm()) if w > place.width + 4),
                 style.page_mm())  # fmt: skip
    fig = Figure(figsize=style.inches(width, _LAYER_MM * (depth + 1) + 12))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    left = (width - place.width) / 2
    ax.set_xlim(-left, place.width + left)
    ax.set_ylim(_LAYER_MM * depth + 12, -_LAYER_MM + 1)
    named = _named(edges, found, place, symbols)
    for edge in edges:
        _draw_edge(ax, edge, found, place, symbols, named.get(edge, ""))
    for node in nodes:
        _draw_node(ax, found.steps[node], place.x[node], _LAYER_MM * place.layer[node], symbols)
    last = nodes[-1]
    _draw_output(ax, place.x[last], _LAYER_MM * place.layer[last], found.steps[last], symbols)
    ax.text(place.width / 2, -_LAYER_MM + 2.5, BLOCKS[name][:1].upper() + BLOCKS[name][1:],
            ha="center", va="top", fontweight="bold", fontsize=style.pt(8))  # fmt: skip
    ax.text(place.width / 2, _LAYER_MM * depth + 11, _meanings(block), ha="center", va="bottom",
            fontsize=style.pt(6), linespacing=1.5)  # fmt: skip
    return fig


for _name, _meaning in BLOCKS.items():
    figure(
        f"block-{_name}",
        meaning=(
            f"Computational graph of {_meaning}, recorded from the block itself: blue are layers "
            "with weights, orange are learned parameters, grey are operations without; beside the "
            "arrows stands the shape of what flows, for one image."
        ),
        of=None,
    )(partial(draw_block, _name))


def _symbols(block: Any) -> dict[int, str]:
    """Name each size by what it is made of."""
    width = block.query.out_channels
    names = {
        _C: "C", _H: "h", _W: "w", _H * _W: "h·w", block.heads: "heads",
        width // block.heads: "d", width // block.heads // 2: "d/2",
    }  # fmt: skip
    if width != _C:
        names[width] = f"C/{_C // width}"
    if kernel := getattr(block, "kernel", None):
        names[kernel] = "k"
    return names


def _meanings(block: Any) -> str:
    width = "C" if block.query.out_channels == _C else f"C/{_C // block.query.out_channels}"
    text = f"d = {width} / heads; here heads = {block.heads}"
    if kernel := getattr(block, "kernel", None):
        text += f", k = {kernel}"
    return text + "\nblue: layers with weights; orange: learned parameters"


def _shape(shape: Shape, symbols: dict[int, str]) -> str:
    """Write a shape in symbols, without the images of a batch."""
    sizes = list(shape)
    if _N in sizes:
        sizes.remove(_N)
    return " × ".join(symbols.get(size, str(size)) for size in sizes) or "one number"


def _label(step: Step) -> str:
    """Say what a step does, by what was called."""
    if step.kind == "module":
        return _layer(step)
    if step.kind in ("input", "parameter"):
        return step.name
    if step.name in _SIGNS and len(step.inputs) == 2:
        return _SIGNS[step.name]
    describe = _FUNCTIONS.get(step.name)
    return step.name if describe is None else describe(step)


def _layer(step: Step) -> str:
    kind = type(step.call).__name__
    kernel = getattr(step.call, "kernel_size", None)
    words = {"BatchNorm2d": "batch norm"}.get(kind, kind)
    if kernel is not None:
        words = f"{kernel[0]}×{kernel[1]} convolution"
    return f"{step.name}\n{words}"


def _scaled(step: Step) -> str:
    """Write a product with a number; one over the root of d is known by its value."""
    (number,) = [a for a in step.args if isinstance(a, float | int)]
    d = step.shape[-1]
    return "× 1/√d" if math.isclose(number, d**-0.5) else f"× {number:.3g}"


_FUNCTIONS: dict[str, Callable[[Step], str]] = {
    "scaled_dot_product_attention": lambda _: (
        "softmax(query · keyᵀ / √d) value\nover all positions"
    ),
    "attend": lambda _: "softmax(query · key + row + column)\nvalue, over k × k neighbours",
    "einsum": lambda _: "scalar\nproducts",
    "mul": _scaled,
}


def _words(step: Step, symbols: dict[int, str]) -> str:
    """Return what stands in a node's box."""
    if step.kind in ("input", "parameter"):
        return f"{step.name}\n{_shape(step.shape, symbols)}"
    return _label(step)


def _width(step: Step, symbols: dict[int, str]) -> float:
    words = _words(step, symbols)
    if words in _SIGNS.values():
        return _SIGN_MM
    return _MARGIN_MM + _LETTER_MM * max(map(len, words.split("\n")))


def _height(step: Step) -> float:
    return _SIGN_MM if _label(step) in _SIGNS.values() else _BOX_MM


def _draw_node(ax: Axes, step: Step, x: float, y: float, symbols: dict[int, str]) -> None:
    width, height = _width(step, symbols), _height(step)
    sign = _label(step) in _SIGNS.values()
    colour = style.OKABE_ITO[_COLOURS[step.kind]] if step.kind in _COLOURS else style.ink()
    box = f"round,pad=0,rounding_size={height / 2 if sign or step.kind == 'parameter' else 1}"
    ax.add_patch(
        FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle=box,
                       facecolor=style.paper(), edgecolor=colour, linewidth=0.9, zorder=3)
    )  # fmt: skip
    ax.text(x, y, _words(step, symbols), ha="center", va="center", zorder=4,
            fontsize=style.pt(8 if sign else 6), linespacing=1.3)  # fmt: skip


def _named(
    edges: Sequence[Edge], found: Trace, place: Layout, symbols: dict[int, str]
) -> dict[Edge, str]:
    """Choose the arrows that have their shape written: of neighbours that carry the same, one.

    Inputs and parameters have theirs in their box.
    """
    groups: dict[tuple[int, str], list[Edge]] = {}
    for edge in edges:
        if found.steps[edge.source].kind in ("input", "parameter"):
            continue
        several = len({e.target for e in edges if e.source == edge.source}) > 1
        end = edge.source if several else -1 - edge.target
        groups.setdefault((end, _shape(edge.shape, symbols)), []).append(edge)
    chosen = {}
    for (_, text), group in groups.items():
        # The one in the middle, of those that run straight to the next layer if there are any.
        near = [e for e in group if len(place.paths[e.source, e.target]) == 2] or group
        near.sort(key=lambda e: sum(place.paths[e.source, e.target][:2]))
        chosen[near[len(near) // 2]] = text
    return chosen


def _draw_edge(
    ax: Axes, edge: Edge, found: Trace, place: Layout, symbols: dict[int, str], words: str
) -> None:
    """Draw an arrow through its lanes, with words at its beginning."""
    source, target = found.steps[edge.source], found.steps[edge.target]
    path = place.paths[edge.source, edge.target]
    first, last = place.layer[edge.source], place.layer[edge.target]
    xs = [_spread(path[0], path[1], _width(source, symbols))]
    ys = [_LAYER_MM * first + _height(source) / 2]
    for at, x in zip(range(first + 1, last), path[1:-1], strict=True):
        xs += [x, x]
        ys += [_LAYER_MM * at - _BOX_MM / 2, _LAYER_MM * at + _BOX_MM / 2]
    xs.append(_spread(path[-1], path[-2], _width(target, symbols)))
    ys.append(_LAYER_MM * last - _height(target) / 2)
    ax.plot(xs[:-1], ys[:-1], color=style.ink(), linewidth=0.7, zorder=1, solid_joinstyle="round")
    ax.annotate("", (xs[-1], ys[-1]), (xs[-2], ys[-2]), zorder=2, arrowprops=_arrow())
    if words:
        along = 0.4 if last - first > 1 else 0.5  # two that leave together do not meet
        x, y = (v[0] + along * (v[1] - v[0]) for v in (xs, ys))
        ax.text(x, y, words, ha="center", va="center",
                fontsize=style.pt(5.4), zorder=2.5,
                bbox={"facecolor": style.paper(), "edgecolor": "none", "pad": 0.4})  # fmt: skip


def _arrow() -> dict[str, Any]:
    return {"arrowstyle": "-|>", "linewidth": 0.7, "color": style.ink(), "shrinkA": 0,
            "shrinkB": 0, "mutation_scale": 6}  # fmt: skip


def _spread(x: float, towards: float, width: float) -> float:
    """Let arrows leave and reach a box on the side on which they go on."""
    reach = 0.4 * width
    return x + min(reach, max(-reach, 0.5 * (towards - x)))


def _draw_output(ax: Axes, x: float, y: float, step: Step, symbols: dict[int, str]) -> None:
    ax.annotate("", (x, y + _LAYER_MM - _BOX_MM / 2), (x, y + _height(step) / 2),
                arrowprops=_arrow())  # fmt: skip
    ax.text(x, y + _LAYER_MM - _BOX_MM / 2 + 0.6, f"y\n{_shape(step.shape, symbols)}", ha="center",
            va="top", fontsize=style.pt(6), linespacing=1.3)  # fmt: skip
