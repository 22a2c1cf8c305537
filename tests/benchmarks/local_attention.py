"""Local attention as sums over shifted views, beside unfolded windows: time and peak memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.benchmarks.harness import Ratio, interleave, peak
from tests.models.windows import unfolded_attention
from xattn.models.architectures.neighbourhood import attend

BATCH, HEADS = 4, 4
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))
"""Channels and side of the map after each stage of ResNet18 at 224 x 224."""
KERNELS = (3, 5, 7, 11)


@dataclass(frozen=True)
class Row:
    """One setting's results.

    Attributes:
        channels, side, kernel: of the setting.
        times: ours by unfold's, forward, and forward with backward.
        peaks: by path, the most memory at once, in maps of the input's size, likewise.
    """

    channels: int
    side: int
    kernel: int
    times: tuple[Ratio, Ratio]
    peaks: dict[str, tuple[float, float]]


def local_attention_table(
    stages: Sequence[tuple[int, int]] = STAGES,
    kernels: Sequence[int] = KERNELS,
    rounds: int = 5,
) -> str:
    """Compare over map sizes, channels and windows."""
    rows = [measure(c, side, k, rounds) for c, side in stages for k in kernels]
    lines = [
        f"### Local attention (LA, ELA), B{BATCH}, {HEADS} heads, fp32: ours beside unfold",
        "",
        "Time as a ratio to unfold's, and peak memory of either in feature maps (B x C x h x w), "
        "inputs not counted: the highest sum of what PyTorch's allocator has handed out and not "
        "got back, by its profiler.",
        "",
        "| map | C | k | time, forward | with backward | peak, forward: ours, unfold "
        "| with backward: ours, unfold |",
        "|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def measure(channels: int, side: int, kernel: int, rounds: int = 5) -> Row:
    """Time both paths in turn, and take each one's peak."""
    torch.manual_seed(0)
    maps = [torch.randn(BATCH, channels, side, side).requires_grad_() for _ in range(3)]
    paths = {
        "unfold": (_unfold, [*maps, *_logits(BATCH * HEADS, kernel, side, side)]),
        "shifts": (_shifts, [*maps, *_logits(kernel, BATCH, side, side, HEADS)]),
    }
    forward = {name: _forward(*path) for name, path in paths.items()}
    both = {name: _with_backward(*path) for name, path in paths.items()}
    times = tuple(
        next(r for r in interleave("unfold", runs, rounds) if r.name == "shifts")
        for runs in (forward, both)
    )
    one_map = BATCH * channels * side * side * 4
    peaks = {n: (peak(forward[n]) / one_map, peak(both[n]) / one_map) for n in paths}
    return Row(channels, side, kernel, (times[0], times[1]), peaks)


def _logits(*shape: int) -> list[Tensor]:
    return [torch.randn(shape).requires_grad_() for _ in range(2)]


def _unfold(q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """From convolutions' outputs (B, C, h, w) back to their form."""
    parts = (x.unflatten(1, (HEADS, -1)).flatten(0, 1) for x in (q * 0.25, k, v))
    return unfolded_attention(*parts, row, column).reshape(q.shape)


def _shifts(q: Tensor, k: Tensor, v: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The same; what rearranging costs is counted."""
    parts = (x.permute(0, 2, 3, 1).unflatten(3, (HEADS, -1)) for x in (q * 0.25, k, v))
    return attend(*parts, row, column).flatten(3).permute(0, 3, 1, 2).contiguous()


def _forward(path: Callable[..., Tensor], given: list[Tensor]) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return path(*given)

    return run


def _with_backward(path: Callable[..., Tensor], given: list[Tensor]) -> Callable[[], object]:
    return lambda: torch.autograd.grad(path(*given).sum(), given)


def _line(row: Row) -> str:
    times = [f"{r.median:.2f} ({r.low:.2f} to {r.high:.2f})" for r in row.times]
    ours, unfold = row.peaks["shifts"], row.peaks["unfold"]
    peaks = [f"{ours[i]:.1f}, {unfold[i]:.1f}" for i in (0, 1)]
    cells = (f"{row.side} x {row.side}", row.channels, row.kernel, *times, *peaks)
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
