"""`xattn demo`: the whole chain on generated data, from nothing, offline."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xattn.cli.options import common, seed_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import PLACE


@click.command("demo")
@click.option(
    "--out",
    type=PLACE,
    default=Path("xattn-demo"),
    show_default=True,
    help="Folder for data, model and run; an interrupted demo starts over in a new one.",
)
@click.option("--n", type=click.IntRange(60), default=400, show_default=True, help="Images.")
@click.option(
    "--epochs", type=click.IntRange(1), default=8, show_default=True, help="Of the training."
)
@seed_option
@common
def command(
    out: Path, n: int, epochs: int, seed: int, quiet: bool, as_json: bool, debug: bool
) -> None:
    """Run the whole chain on generated data: synthesize, train, explain, measure, draw, report."""
    terminal = Terminal(quiet, as_json)
    page = run_demo(out, n, epochs, seed, terminal)
    terminal.say()
    terminal.say(f"Open this page: {page.resolve()}")
    terminal.summary({"report": str(page)})


def run_demo(out: Path, n: int, epochs: int, seed: int, terminal: Terminal) -> Path:
    """Do each step as its command would, and return the report."""
    from xattn.analysis.feature_usage import feature_usage
    from xattn.attribution.run.pipeline import explain
    from xattn.figures.page.report import report
    from xattn.figures.registry import save_figures
    from xattn.figures.tables import save_tables
    from xattn.models import load
    from xattn.synthetic.dataset import synthesize
    from xattn.training.fit import train
    from xattn.training.recipe import parse_recipe

    terminal.say(f"1/5 {n} generated images; colour patches are planted as a shortcut")
    with terminal.progress("synthesize") as progress:
        data = synthesize(out / "data", n, seed=seed, progress=lambda done: progress(done, n))
    terminal.say("2/5 a resnet18-ga, trained from scratch")
    recipe = parse_recipe(
        {
            "model": {"architecture": "resnet18-ga"},
            "data": {"size": [96, 128]},
            "train": {"epochs": epochs, "batch_size": 32, "lr": 1e-3, "augment": "light"},
        },
        "the demo's recipe",
    )
    trained = train(recipe, data, out / "model", seed=seed, progress=not terminal.quiet)
    terminal.say("3/5 Grad-CAM and the model's own attention for every image")
    with terminal.progress("explain") as progress:
        run = explain(
            load(trained.checkpoint),
            out=out / "run",
            annotations=data,
            batch_size=32,
            progress=progress,
        )
    terminal.say("4/5 maps against masks, dependence tests, edits, bias gaps")
    with terminal.progress("feature usage") as progress:
        feature_usage(run, data, seed=seed, progress=progress)
    terminal.say("5/5 figures, tables and the report")
    save_figures(run)
    save_tables(run)
    page: Path = report(run)
    return page
