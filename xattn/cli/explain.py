"""`xattn explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from xattn.cli.options import (
    FILE,
    PLACE,
    common,
    computing,
    model_options,
    seed_option,
    strict_option,
)
from xattn.cli.terminal import Terminal


@click.command("explain")
@model_options(required=True)
@click.option(
    "--images",
    "-i",
    multiple=True,
    help="Directory (recursive), glob, file, or .txt list; repeatable.",
)
@click.option(
    "--annotations", type=FILE, help="Gives labels and ids, and images if none are named."
)
@click.option("--method", "-m", "methods", multiple=True, help="Repeatable; see `xattn models`.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Class to explain: predicted (default), label, a class's name or index, or all (default "
    "of independent outputs); repeatable.",
)
@click.option("--out", type=PLACE, default=Path("xattn-run"), show_default=True)
@click.option(
    "--overlay", type=click.Choice(["png", "jpeg", "none"]), default="png", show_default=True
)
@click.option(
    "--exact",
    is_flag=True,
    help="No faster copy of the model (equal to 1e-4), no reduced decoding of large JPEGs.",
)
@click.option("--amp", is_flag=True, help="Half precision where it is safe; CUDA only.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the trunk; CUDA only.")
@click.option("--evaluate", is_flag=True, help="Measure whether the maps are faithful; slow.")
@click.option(
    "--evaluate-images",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Images drawn at random for it.",
)
@seed_option
@computing
@strict_option
@common
def command(
    images: tuple[str, ...],
    annotations: Path | None,
    methods: tuple[str, ...],
    targets: tuple[str, ...],
    out: Path,
    overlay: Any,
    exact: bool,
    amp: bool,
    compiled: bool,
    evaluate: bool,
    evaluate_images: int,
    seed: int,
    batch_size: int,
    workers: int | None,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **model_choice: Any,
) -> int:
    """Predict and explain images: maps and overlays for each, into a run folder.

    Called again with the same options it goes on where it was stopped.
    """
    from xattn.attribution.run.pipeline import explain as explain_images
    from xattn.cli.loading import load_model
    from xattn.errors import UsageError

    if not images and annotations is None:
        raise UsageError("Expected --images or --annotations, but got neither")
    terminal = Terminal(quiet, as_json)
    known = None
    if annotations is not None:
        from xattn.annotations import read_annotations

        known = read_annotations(annotations, on_problem=terminal.problem)
    model = load_model(**model_choice)
    notes: list[str] = []
    changes: list[str] = []
    with terminal.progress("explain") as progress:
        run = explain_images(
            model,
            images or None,
            methods=methods or None,
            out=out,
            target=targets or None,
            annotations=known,
            batch_size=batch_size,
            workers=workers,
            overlay=overlay,
            exact=exact,
            amp=amp,
            compiled=compiled,
            progress=progress,
            on_note=notes.append,
            on_change=changes.append,
        )
    counts = run.settings["counts"]
    facts = {
        "run": str(run.path),
        **counts,
        "methods": run.methods,
        "left_out": run.settings.get("left_out", {}),
        "target_layer": run.settings["target_layer"],
        "outputs": run.settings.get("outputs", "softmax"),
        "readout": run.settings.get("readout", {}),
        "predicted": run.predictions["predicted"].value_counts().to_dict(),
        "saturated": _saturated(run),
        "converted": _converted(run.predictions),
        "notes": notes,
        "changes": changes,
    }
    terminal.say(f"{counts['done']} of {counts['images']} images explained into {run.path}")
    terminal.say(f"  methods {', '.join(run.methods)}; layer {facts['target_layer']}")
    for note in (*changes, *notes):
        terminal.say(f"  {note}")
    if said := model.outputs_in_words():
        terminal.say(f"  outputs: {said}")
    if facts["saturated"]:
        terminal.say(
            f"  {facts['saturated']} of {counts['done']} images have probabilities of 0 or 1 "
            "exactly, where no gradient passes; give the model without its last softmax or sigmoid"
        )
    for name, why in facts["left_out"].items():
        terminal.say(f"  without {name}: {why}")
    if drawn := run.settings.get("overlays_spread_evenly"):
        facts["overlays_spread_evenly"] = drawn
        terminal.say(
            f"  overlays of {drawn} earlier images have their cells spread evenly, as an earlier "
            "version drew them; explain into another folder to have them in register"
        )
    for what, count in facts["converted"].items():
        terminal.say(f"  {count} converted to 8-bit RGB: {what}")
    if narrow := sum(n for what, n in facts["converted"].items() if "grey, narrow range" in what):
        terminal.say(
            f"  {narrow:,} use a small part of their 16 bits and are dark and coarse in 8; say "
            "what is black and white with --window 0,4095, of 12 bits, or --window auto"
        )
    if counts["skipped"]:
        terminal.say(f"  {counts['skipped']} skipped, see {run.path / 'errors.csv'}")
    if evaluate:
        from xattn.analysis.faithfulness.measure import faithfulness

        with terminal.progress("evaluate") as progress:
            found = faithfulness(
                run,
                model,
                annotations=known,
                images=evaluate_images,
                seed=seed,
                batch_size=batch_size,
                workers=workers,
                progress=progress,
            )
        facts["faithfulness"] = found.table.to_dict("records")
        facts["sentences"], facts["notes"] = list(found.sentences), [*notes, *found.notes]
        _show(terminal, found.table)
        for sentence in found.sentences:
            terminal.say(sentence)
        for note in found.notes:
            terminal.say(f"Note: {note}")
    terminal.summary(facts)
    missing = counts["skipped"] or terminal.problems or facts["left_out"] or _losses(notes)
    return 3 if strict and missing else 0


def _losses(notes: list[str]) -> list[str]:
    from xattn.errors import Remark

    return [note for note in notes if not isinstance(note, Remark)]


def _show(terminal: Terminal, table: Any) -> None:
    """Print the methods' rows; the controls stand beside them."""
    rows = table[table["random"].notna()]
    shown = ["method", "score", "better", "n", "value", "low", "high", "random", "edges"]
    terminal.table(
        rows[[*shown, "p_adjusted", "beats_controls"]],
        "Does the model need what the maps show? (random, edges: maps that know nothing of it)",
    )


def _saturated(run: Any) -> int:
    """Count images whose probabilities, given by the network itself, are 0 or 1 in float32."""
    if run.settings.get("outputs") != "probabilities":
        return 0
    given = run.predictions[[f"prob_{name}" for name in run.classes]]
    return int(((given < 1e-7) | (given > 1 - 1e-7)).any(axis=1).sum())


def _converted(predictions: Any) -> dict[str, int]:
    notes = predictions["converted"]
    counts: dict[str, int] = notes[notes != ""].value_counts().to_dict()
    return counts
