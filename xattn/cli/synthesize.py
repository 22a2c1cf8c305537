"""`xattn synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from xattn.cli.options import common, seed_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE, Named, Size
from xattn.errors import UsageError


@click.command("synthesize")
@click.option("--out", type=PLACE, required=True, help="Folder for images, masks and annotations.")
@click.option("--n", type=click.IntRange(1), default=200, show_default=True, help="Images.")
@click.option(
    "--size",
    type=Size(),
    show_default="192x256, of tissue 96x96",
    help="Height and width in pixels, each at least 64, of tissue 48.",
)
@click.option(
    "--tissue",
    is_flag=True,
    help="Patches of stained tissue in the layout of Camelyon17 as WILDS has it.",
)
@click.option("--effect", "effects", type=Named(), multiple=True, help="Log odds ratio by label.")
@click.option(
    "--prevalence", "prevalences", type=Named(), multiple=True, help="Fraction of images."
)
@click.option(
    "--positive-rate",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Fraction of malignant images, or of tumour patches.",
)
@click.option(
    "--pair-rate",
    type=click.FloatRange(0, 1),
    show_default="0.2",
    help="Fraction of lesions with two images.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Threads; they change no byte.",
)
@seed_option
@common
def command(
    out: Path,
    n: int,
    size: tuple[int, int] | None,
    tissue: bool,
    effects: tuple[tuple[str, float], ...],
    prevalences: tuple[tuple[str, float], ...],
    positive_rate: float,
    pair_rate: float | None,
    workers: int,
    seed: int,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Make images like dermoscopy or tissue, with exact masks and planted dependence."""
    from xattn.synthetic.dataset import synthesize as make
    from xattn.synthetic.tissue.dataset import synthesize_tissue

    terminal = Terminal(quiet, as_json)
    how: dict[str, Any] = {
        "seed": seed,
        "effects": dict(effects) or None,
        "prevalence": dict(prevalences) or None,
        "positive_rate": positive_rate,
        "workers": workers,
    }
    if size is not None:
        how["size"] = size
    if not tissue:
        how["pair_rate"] = 0.2 if pair_rate is None else pair_rate
    elif pair_rate is not None:
        raise UsageError("Expected --pair-rate without --tissue, whose groups are slides")
    with terminal.progress("synthesize") as progress:
        draw = synthesize_tissue if tissue else make
        written = draw(out, n, progress=lambda done: progress(done, n), **how)
    terminal.say(f"{n} images; annotations in {written}")
    terminal.summary({"annotations": str(written), "images": n})
