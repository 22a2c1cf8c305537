"""`make bench`: speed as ratios, peers beside us in one process; the tables go into the docs."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from tests.benchmarks import targets
from tests.benchmarks.attribution import attention_table, grad_cam_table, memory_table
from tests.benchmarks.harness import Table
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
    "memory": memory_table,
    "pipeline": pipeline_table,
    "decode": decode_table,
    "usage": usage_test_table,
    "kci": kci_table,
    "mask-scores": mask_score_table,
}
LOCAL = "local-attention"

HEAD = """# Benchmarks

Ratios, measured in one process with the candidates taking turns; medians, and the range over
rounds in brackets. Absolute times mean nothing on another machine. Made by `make bench`, which
writes [benchmarks.csv](benchmarks.csv) too. A target counts as met by its median, rounded to two
digits.

"""


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
    machine = f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}, Python "
    page = HEAD + f"Last run: {machine}{platform.python_version()}.\n\n" + "\n".join(parts)
    sys.stdout.write(page)
    if not only:
        _, heading, by_hand = PAGE.read_text(encoding="utf-8").partition(LIMITS)
        PAGE.write_text(page + (f"\n{heading}{by_hand}" if heading else ""), encoding="utf-8")
        numbers = [record for table in tables.values() for record in table.records()]
        pd.DataFrame(numbers).to_csv(DOCS / "benchmarks.csv", index=False, float_format="%.3f")
    return 0


if __name__ == "__main__":
    sys.exit(main())
