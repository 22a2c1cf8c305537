"""`xattn explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from xattn.analysis.settings import FaithfulnessSettings
from xattn.attribution.run.settings import ExplainInputs, ExplainSettings
from xattn.cli.from_settings import options_of, taken
from xattn.cli.options import amp_option, checkpoint_option, common, strict_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE
from xattn.settings.cluster import RaySettings
from xattn.settings.load import LoadSettings


@click.command("explain")
@checkpoint_option(required=True, more="several with --ensemble.")
@options_of(ExplainInputs)
@options_of(ExplainSettings, without=("batch_size", "workers"))
@click.option(
    "--out", type=PLACE, default=Path("xattn-run"), show_default=True, help="The run folder."
)
@click.option("--evaluate", is_flag=True, help="Measure whether the maps are faithful; slow.")
@options_of(FaithfulnessSettings)
@options_of(LoadSettings)
@options_of(ExplainSettings, only=("batch_size", "workers"))
@options_of(RaySettings)
@amp_option
@strict_option
@common
def command(
    ckpt: tuple[Path, ...],
    out: Path,
    evaluate: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Predict and explain images: maps and overlays for each, into a run folder.

    Called again with the same options it goes on where it was stopped.
    """
    from xattn.attribution.passes.relevance import Conservation
    from xattn.attribution.run.pipeline import explain as explain_images
    from xattn.cli.loading import load_model
    from xattn.errors import UsageError

    inputs, settings = taken(ExplainInputs, chosen), taken(ExplainSettings, chosen)
    if inputs.images is None and inputs.annotations is None:
        raise UsageError("Expected --images or --annotations, but got neither")
    terminal = Terminal(quiet, as_json)
    known = None
    if inputs.annotations is not None:
        from xattn.annotations import read_annotations

        known = read_annotations(inputs.annotations, on_problem=terminal.problem)
    model = load_model(ckpt, taken(LoadSettings, chosen))
    if evaluate:
        from xattn.analysis.faithfulness.measure import require_testable

        require_testable(model)
    notes: list[str] = []
    changes: list[str] = []
    on_ray = taken(RaySettings, chosen)
    with terminal.progress("explain") as progress:
        told: dict[str, Any] = {"progress": progress, "on_note": notes.append}
        if on_ray.engine == "ray":
            from xattn.attribution.run.on_ray import explain_on_ray

            run = explain_on_ray(model, inputs.images, known, out, settings, on_ray, **told)
        else:
            run = explain_images(
                model,
                inputs.images,
                out=out,
                annotations=known,
                settings=settings,
                on_change=changes.append,
                **told,
            )
    if outdated := run.outdated_analysis():
        changes.append(outdated)
    counts = run.settings["counts"]
    facts = {
        "run": str(run.path),
        **counts,
        "methods": run.methods,
        "left_out": run.settings.get("left_out", {}),
        "target_layer": run.settings["target_layer"],
        "outputs": run.settings.get("outputs", "softmax"),
        "readout": run.settings.get("readout", {}),
        "precision": run.settings.get("precision", "32"),
        "computed_in": run.settings.get("computed_in", {}),
        "predicted": run.predictions["predicted"].value_counts().to_dict(),
        "conserved": run.settings.get("conserved", {}),
        "saturated": _saturated(run),
        "converted": _converted(run.predictions),
        "notes": notes,
        "changes": changes,
    }
    terminal.say(f"{counts['done']} of {counts['images']} images explained into {run.path}")
    layer = f"; layer {facts['target_layer']}" if facts["target_layer"] else ""
    terminal.say(f"  methods {', '.join(run.methods) or 'none'}{layer}")
    for note in (*changes, *notes):
        terminal.say(f"  {note}")
    if said := model.outputs_in_words():
        terminal.say(f"  outputs: {said}")
    if maps := run.settings.get("ensemble", {}).get("maps"):
        for way in dict.fromkeys(maps.values()):
            terminal.say(f"  {way}: {', '.join(name for name, how in maps.items() if how == way)}")
    if facts["saturated"]:
        terminal.say(
            f"  {facts['saturated']} of {counts['done']} images have probabilities of 0 or 1 "
            "exactly, where no gradient passes; give the model without its last softmax or sigmoid"
        )
    for name, numbers in facts["conserved"].items():
        terminal.say(f"  {name}: {Conservation(**numbers).in_words()}")
    for name, why in facts["left_out"].items():
        terminal.say(f"  without {name}: {why}")
    if drawn := run.settings.get("overlays_spread_evenly"):
        facts["overlays_spread_evenly"] = drawn
        terminal.say(
            f"  overlays of {drawn} earlier images have their cells spread evenly, as an earlier "
            "version drew them; explain into another folder to have them in register"
        )
    for what, count in facts["converted"].items():
        terminal.say(f"  {count} not plain 8-bit RGB: {what}")
    if narrow := sum(n for what, n in facts["converted"].items() if "grey, narrow range" in what):
        terminal.say(
            f"  {narrow:,} use a small part of their 16 bits and are dark; say what is black and "
            "white with --window 0,4095, of 12 bits, or --window auto"
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
                settings=taken(
                    FaithfulnessSettings,
                    chosen,
                    batch_size=settings.batch_size,
                    accelerate=settings.accelerate,
                    workers=settings.workers,
                ),
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
