"""`make bench`: speed as ratios, peers beside us in one process; the tables go into the docs."""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

from tests.benchmarks import targets
from tests.benchmarks.attribution import (
    attention_table,
    grad_cam_table,
    limit_table,
    memory_table,
)
from tests.benchmarks.growth import growth_table
from tests.benchmarks.harness import Table, take_turns
from tests.benchmarks.local_attention import local_attention_table
from tests.benchmarks.mask_scores import mask_score_table
from tests.benchmarks.pipeline import decode_table, pipeline_table
from tests.benchmarks.usage import kci_table, usage_test_table

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "benchmarks.md"
LIMITS = "## What limits what is not met"
"""Heading from which on the page is written by hand; the rest is made anew."""

TABLES: dict[str, Callable[[], Table]] = {
    "grad-cam": grad_cam_table,
    "attending": attention_table,
    "limit": limit_table,
    "memory": memory_table,
    "pipeline": pipeline_table,
    "decode": decode_table,
    "growth": growth_table,
    "usage": usage_test_table,
    "kci": kci_table,
    "mask-scores": mask_score_table,
}
LOCAL = "local-attention"

HEAD = """# Benchmarks

Ratios, measured in one process with the candidates taking turns; medians, and the range over
rounds in brackets. Absolute times mean nothing on another machine. Made by `make bench`, which
writes [benchmarks.csv](benchmarks.csv) too. A target counts as met by its median, rounded to two
digits, of the fastest engine. Engines are chosen by name here, and compiled before the clock runs;
`--accelerate auto` counts compiling too.

"""
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")


def main() -> int:
    """Measure and print; write the page if everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=[*TABLES, LOCAL], action="append", help="print this one")
    only = parser.parse_args().only
    tables = {name: make() for name, make in TABLES.items() if not only or name in only}
    goals = targets.records(tables)
    parts = [targets.markdown(goals)] if goals else []
    parts += [str(table) for table in tables.values()]
    if not only or LOCAL in only:
        parts.append(local_attention_table())
    page = HEAD + f"Last run: {_machine()}.\n\n" + "\n".join(parts)
    sys.stdout.write(page)
    if not only:
        _, heading, by_hand = PAGE.read_text(encoding="utf-8").partition(LIMITS)
        PAGE.write_text(page + (f"\n{heading}{by_hand}" if heading else ""), encoding="utf-8")
        numbers = [record for table in tables.values() for record in table.records()]
        pd.DataFrame(numbers).to_csv(DOCS / "benchmarks.csv", index=False, float_format="%.3f")
    return 0


def _machine() -> str:
    """Name what the numbers rest on: threads, instructions, matrix rate, versions."""
    about = Path("/proc/cpuinfo")
    flags = set(about.read_text(encoding="utf-8").split()) if about.is_file() else set()
    has = ", ".join(f"{'' if flag in flags else 'no '}{flag}" for flag in INSTRUCTIONS)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "openvino", "timm"))
    return (
        f"{torch.get_num_threads()} CPU threads ({has}), {_matrix_rate():.0f} GFLOP/s in float32 "
        f"matrix products of 2,048 x 2,048, {packages}, Python {platform.python_version()}"
    )


def _matrix_rate(side: int = 2048, rounds: int = 7) -> float:
    """Measure what the processor multiplies and adds, in 10^9 operations a second."""
    left, right = torch.randn(side, side), torch.randn(side, side)
    took = take_turns({"product": lambda: left @ right}, rounds)["product"]
    return 2 * side**3 / statistics.median(took) / 1e9


if __name__ == "__main__":
    sys.exit(main())
