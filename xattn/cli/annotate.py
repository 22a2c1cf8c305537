"""`xattn annotations build` and `check`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.options import FILE, PLACE, common
from xattn.cli.terminal import Terminal


@click.group("annotations")
def command() -> None:
    """Make an annotation file from the layouts people have, or check one."""


@command.command()
@click.option("--layout", default="isic2018", show_default=True, help="Folder layout.")
@click.option("--root", type=PLACE, required=True, help="Folder with images and masks.")
@click.option("--out", type=FILE, default=Path("isic_attributes.json"), show_default=True)
@click.option("--artifact-masks", type=PLACE, help="Folder with pixel masks of artifacts.")
@click.option("--flags", type=FILE, help="CSV of human artifact flags, 0 or 1.")
@click.option("--metadata", type=FILE, help="CSV with age, sex, site, lesion_id.")
@click.option("--labels", type=FILE, help="CSV with the labels; default those of the flags.")
@common
def build(
    layout: str,
    root: Path,
    out: Path,
    artifact_masks: Path | None,
    flags: Path | None,
    metadata: Path | None,
    labels: Path | None,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Write an annotation file from a folder layout."""
    from xattn.annotations import build_annotations

    terminal = Terminal(quiet, as_json)
    built = build_annotations(
        layout,
        root,
        out,
        artifact_masks=artifact_masks,
        flags=flags,
        metadata=metadata,
        labels=labels,
    )
    terminal.say(str(built))
    counts = built.summary.to_dict() if built.summary else {}
    terminal.summary({"file": str(out), **counts, "notes": list(built.notes)})


@command.command()
@click.argument("file", type=FILE)
@common
def check(file: Path, quiet: bool, as_json: bool, debug: bool) -> int:
    """Check an annotation file: every key, every label, every image and mask."""
    from xattn.annotations import check_annotations
    from xattn.errors import AnnotationError

    if not file.is_file():
        raise AnnotationError(f"Expected an annotation file at {file}, but got nothing there")
    terminal = Terminal(quiet, as_json)
    faults = check_annotations(file)
    for fault in faults:
        terminal.fault(fault if fault.image else f"{file}: {fault}")
    terminal.say(f"{file}: {len(faults)} faults" if faults else f"{file}: no faults")
    terminal.summary({"file": str(file), "faults": [str(f) for f in faults]})
    return 1 if faults else 0
