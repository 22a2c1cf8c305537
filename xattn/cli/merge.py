"""`xattn merge`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.options import common
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE


@click.command("merge")
@click.argument("runs", nargs=-1, required=True, type=PLACE)
@click.option("--out", type=PLACE, required=True, help="The merged run folder.")
@click.option("--allow-missing", is_flag=True, help="Merge shards of which some are missing.")
@click.option("--strict", is_flag=True, help="Exit with 3 if an image or a shard is missing.")
@common
def command(
    runs: tuple[Path, ...],
    out: Path,
    allow_missing: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Put run folders of one model together, such as those of `xattn explain --shard`.

    Nothing is predicted or explained again.
    """
    from xattn.attribution.run.merge import merge
    from xattn.errors import Remark

    terminal = Terminal(quiet, as_json)
    notes: list[str] = []
    with terminal.progress("merge") as progress:
        run = merge(runs, out, allow_missing=allow_missing, on_note=notes.append, progress=progress)
    counts = run.settings["counts"]
    what = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    terminal.say(f"{what} merged into {run.path}, {counts['done']:,} images")
    terminal.say(f"  methods {', '.join(run.methods) or 'none'}")
    for note in notes:
        terminal.say(f"  {note}")
    if counts["skipped"]:
        terminal.say(f"  {counts['skipped']} skipped, see {run.path / 'errors.csv'}")
    terminal.summary({"run": str(run.path), **counts, "methods": run.methods, "notes": notes})
    missing = counts["skipped"] or any(not isinstance(note, Remark) for note in notes)
    return 3 if strict and missing else 0
