"""`make bench`: speed as ratios, peers beside us in one process; the tables go into the docs."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import torch

from tests.benchmarks.attribution import attention_table, grad_cam_table
from tests.benchmarks.local_attention import local_attention_table
from tests.benchmarks.mask_scores import mask_score_table

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"

HEAD = """# Benchmarks

Ratios, measured in one process with the candidates taking turns; medians, and the range over
rounds in brackets. Absolute times mean nothing on another machine. Made by `make bench`.

"""


def main() -> int:
    """Measure, print, and write the page."""
    machine = f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}, Python "
    tables = [grad_cam_table(), attention_table(), mask_score_table(), local_attention_table()]
    page = HEAD + f"Last run: {machine}{platform.python_version()}.\n\n" + "\n".join(tables)
    sys.stdout.write(page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
