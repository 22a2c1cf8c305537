"""`xattn verify`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.options import common
from xattn.cli.terminal import Terminal
from xattn.cli.text import visible
from xattn.cli.value_types import PLACE

NOTHING = "none"
"""The kind of a folder that holds no results."""


@click.command("verify")
@click.argument("folders", nargs=-1, required=True, type=PLACE)
@click.option(
    "--images",
    type=click.Choice(["touched", "all"]),
    default="touched",
    show_default=True,
    help="Images to read and hash: those of another size or time than they had, or all.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if anything could not be compared.")
@common
def command(
    folders: tuple[Path, ...],
    images: str,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Compare results with the hashes written beside them, and inputs with what they were.

    Changes nothing. Exits with 1 if anything differs.
    """
    from xattn.errors import RunError
    from xattn.runs.verification import Verification
    from xattn.runs.verify import verify

    terminal = Terminal(quiet, as_json)
    found = []
    for folder in folders:
        try:
            with terminal.progress("verify") as progress:
                one = verify(folder, images=images, progress=progress)
        except RunError as err:  # the other folders are looked at all the same
            one = Verification(folder, NOTHING, differs=[str(err)])
        found.append(one)
        for line in one.differs:
            click.echo(visible(f"{folder}: differs: {line}"), err=True)
        for line in one.unknown:
            terminal.say(f"{folder}: unknown: {line}")
        if one.kind == NOTHING:
            continue
        terminal.say(f"{folder}: {one.kind}, {one.summary}")
    terminal.summary({
        "folders": [
            {"path": str(one.path), "kind": one.kind, "counts": one.counts,
             "checked": one.checked, "differs": one.differs, "unknown": one.unknown}
            for one in found
        ],
    })  # fmt: skip
    if not all(one.whole for one in found):
        return 1
    return 3 if strict and any(one.unknown for one in found) else 0
