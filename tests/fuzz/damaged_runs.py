"""Commands on run folders of which one file is damaged."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

from tests.analysis.annotated import plant
from xattn.analysis.feature_usage import feature_usage
from xattn.cli import main

_IN_NAMES = "~"
"""Stands for the slash in names of files of a folder."""
COMMANDS = (
    ["verify", "RUN"],
    ["report", "RUN", "--out", "OUT"],
    ["figures", "alignment", "--run", "RUN", "--out", "OUT"],
    ["figures", "usage-heatmap", "--run", "RUN", "--out", "OUT"],
    ["feature-usage", "--run", "RUN", "--annotations", "KNOWN", "--permutations", "19",
     "--bootstrap", "20", "--interventions", "0", "--no-concepts", "--no-computed", "--given",
     "none"],
)  # fmt: skip


def files_of_a_run(folder: Path) -> dict[str, bytes]:
    """Make a small run with an analysis; return its files by their names."""
    made = plant(folder / "whole", 12)
    feature_usage(
        made.run, made.annotations, permutations=19, bootstrap=20, interventions=0, concepts=False,
        computed=False, given="none",
    )  # fmt: skip
    return {
        path.relative_to(made.run.path).as_posix().replace("/", _IN_NAMES): path.read_bytes()
        for path in sorted(made.run.path.rglob("*"))
        if path.is_file()
    }


def command_on_a_damaged_run(damaged: Path) -> int:
    """Put a file into a run in place of its own, and call a command on it.

    Args:
        damaged: named as in `files_of_a_run`, beside the whole run.

    Returns:
        The exit code.
    """
    whole, scratch = damaged.parent / "whole", damaged.parent / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(whole, scratch)
    run = scratch / "run"
    content = damaged.read_bytes()
    (run / damaged.name.replace(_IN_NAMES, "/")).write_bytes(content)
    words = COMMANDS[zlib.crc32(content) % len(COMMANDS)]
    places = {"RUN": run, "OUT": scratch / "out", "KNOWN": scratch / "annotations.json"}
    code = main([str(places.get(word, word)) for word in words])
    assert code in (0, 1, 2), (code, words)
    return code
