"""`xattn synthesize`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.options import common, seed_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE, Named, Size


@click.command("synthesize")
@click.option("--out", type=PLACE, required=True, help="Folder for images, masks and annotations.")
@click.option("--n", type=click.IntRange(1), default=200, show_default=True, help="Images.")
@click.option(
    "--size",
    type=Size(),
    default="192x256",
    show_default=True,
    help="Height and width in pixels, each at least 64.",
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
    help="Fraction of malignant images.",
)
@click.option(
    "--pair-rate",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
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
    size: tuple[int, int],
    effects: tuple[tuple[str, float], ...],
    prevalences: tuple[tuple[str, float], ...],
    positive_rate: float,
    pair_rate: float,
    workers: int,
    seed: int,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Make dermoscopy-like images with exact masks and planted dependence on the label."""
    from xattn.synthetic.dataset import synthesize as make

    terminal = Terminal(quiet, as_json)
    with terminal.progress("synthesize") as progress:
        written = make(
            out,
            n,
            size=size,
            seed=seed,
            effects=dict(effects) or None,
            prevalence=dict(prevalences) or None,
            positive_rate=positive_rate,
            pair_rate=pair_rate,
            workers=workers,
            progress=lambda done: progress(done, n),
        )
    terminal.say(f"{n} images; annotations in {written}")
    terminal.summary({"annotations": str(written), "images": n})
