"""`xattn study`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn.cli.from_settings import options_of, taken
from xattn.cli.options import common, device_option, strict_option
from xattn.cli.study_board import Board, Lines
from xattn.cli.terminal import Terminal
from xattn.cli.text import visible
from xattn.cli.value_types import FILE, PLACE
from xattn.settings.cluster import RaySettings

if TYPE_CHECKING:
    from xattn.study.estimate import Estimate
    from xattn.study.outcome import Outcome
    from xattn.study.recipe import StudyRecipe
    from xattn.study.steps import Step


@click.command("study")
@click.argument("recipe", type=FILE)
@click.option(
    "--out",
    type=PLACE,
    show_default="xattn-study/NAME of the recipe",
    help="Folder of the study; what is done in it is not done again.",
)
@click.option("--data", type=PLACE, help="Annotation file or data set's folder, not the recipe's.")
@click.option("--dry-run", is_flag=True, help="Print the steps and what they cost; write nothing.")
@click.option(
    "--redo",
    is_flag=True,
    help="Do steps again whose settings or inputs are others than before; what they wrote goes.",
)
@device_option
@options_of(RaySettings)
@strict_option
@common
def command(
    recipe: Path,
    out: Path | None,
    data: Path | None,
    dry_run: bool,
    redo: bool,
    device: str,
    strict: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Run a whole study: train, evaluate, explain, measure, compare, draw, report.

    The steps are those of a recipe in TOML; a call that was stopped goes on where it was, and
    several processes may make the same call.
    """
    from xattn.study.execute import call_of, execute
    from xattn.study.plan import plan_study
    from xattn.study.read_recipe import read_study
    from xattn.study.standing import DONE

    terminal = Terminal(quiet, as_json)
    out = out or Path("xattn-study") / recipe.stem
    study = read_study(recipe, data)
    steps = plan_study(study, out, device)
    if dry_run:
        _show_plan(terminal, study, steps, out, device)
        return 0
    lively = sys.stderr.isatty() and not (quiet or as_json)
    with Board(steps) if lively else nullcontext(Lines(terminal, steps)) as shown:
        outcomes = execute(
            steps, out, redo=redo, call=call_of(recipe, out, data, device), on_step=shown.step,
            progress=shown.progress, engine=taken(RaySettings, chosen), device=device,
        )  # fmt: skip
    _show_notes(terminal, outcomes)
    open_ = [name for name, one in outcomes.items() if one.state != DONE]
    if not open_:
        page = out / "report" / "report.html"
        if page.is_file():
            terminal.say(f"Open this page: {page.resolve()}")
        rooms = ("figures", "tables", "comparison", "known")
        there = [name for name in rooms if (out / name).is_dir()]
        beside = f"Beside it in {out}" if page.is_file() else f"In {out}"
        terminal.say(f"{beside}: {', '.join(there)}" if there else f"All of it in {out}")
    else:
        _show_failures(outcomes, len(steps))
    terminal.summary({"out": str(out), "steps": {k: asdict(v) for k, v in outcomes.items()}})
    if open_:
        return 1
    return 3 if strict and any(one.problems for one in outcomes.values()) else 0


def _show_notes(terminal: Terminal, outcomes: Mapping[str, Outcome]) -> None:
    """Say what steps left out and what must be known, each once; of notes those of this call."""
    for word, kept in (("Left out", "problems"), ("Note", "notes")):
        said: dict[str, list[str]] = {}
        for name, one in outcomes.items():
            for text in getattr(one, kept) if kept == "problems" or not one.before else ():
                said.setdefault(text, []).append(name)
        for text, names in said.items():
            terminal.say(f"{word} ({_shortly(names)}): {text}")
    if earlier := sum(len(one.notes) for one in outcomes.values() if one.before):
        terminal.say(f"{earlier} notes of steps that were done before: --json, and steps/")


def _show_failures(outcomes: Mapping[str, Outcome], steps: int) -> None:
    """Say on stderr, also with --quiet, which steps failed and why, and how many wait for them."""
    failed = {name: one.remark for name, one in outcomes.items() if one.state == "failed"}
    for name, why in failed.items():
        click.echo(visible(f"{name}: failed, {why}"), err=True)
    blocked = sum(one.state == "blocked" for one in outcomes.values())
    waiting = f" and {blocked} need what failed" if blocked else ""
    click.echo(
        f"Error: Expected all {steps} steps to be done, but {len(failed)} failed "
        f"({_shortly(failed)}){waiting}; repeat the command once the cause is mended",
        err=True,
    )


def _show_plan(
    terminal: Terminal, study: StudyRecipe, steps: Sequence[Step], out: Path, device: str
) -> None:
    from xattn.study.estimate import estimate, time_forward
    from xattn.study.plan import trainings_of
    from xattn.study.standing import AGAIN, DONE, standing_of
    from xattn.study.steps import Records

    records = Records(out)
    now = standing_of(steps, records)
    for step in steps:
        one = now[step.name]
        needs = _shortly((*step.needs, *step.gathers))
        why = f"{one.why}; " if one.why else ""
        after = f"after {needs}" if needs else "first"
        terminal.say(f"{one.state:10} {step.name}  ({why}{after})")
    trainings = trainings_of(study)
    forward = {}
    if any(one.state != DONE for one in now.values()):
        with terminal.progress("time the networks") as progress:
            for i, (name, recipe) in enumerate(trainings.items(), 1):
                forward[name] = time_forward(recipe, device)
                progress(i, len(trainings))
    guess = estimate(steps, now, records, forward)
    left = sum(one.state != DONE for one in now.values())
    terminal.say(f"{len(steps)} steps, {left} to do, in {out}")
    again = sum(now[one.name].state == AGAIN and not one.cheap for one in steps)
    if again:
        terminal.say(
            f"{again} step{'s' * (again > 1)} would be done again, and what was written be lost; "
            "--redo does so"
        )
    if not steps[0].work:
        terminal.say(
            "The data are not there yet, so that the estimate leaves out what depends on their "
            "number; --data names yours"
        )
    parts = ", ".join(f"{kind} {_time(value)}" for kind, value in guess.seconds.items() if value)
    terminal.say(f"Estimate of time: {_time(sum(guess.seconds.values()))} ({parts or 'nothing'})")
    terminal.say(_basis(guess))
    terminal.say(f"Estimate of disk: {guess.disk / 1e9:.2f} GB; free: {guess.free / 1e9:.1f} GB")
    terminal.summary(
        {
            "out": str(out),
            "steps": {name: asdict(one) for name, one in now.items()},
            "forward": forward,
            **asdict(guess),
        }
    )


def _basis(guess: Estimate) -> str:
    ways = {
        "from steps done in this folder": guess.done,
        "from the networks' passes, timed just now": guess.timed,
        "20 s each, assumed": guess.assumed,
    }
    said = [f"{', '.join(kinds)} {way}" for way, kinds in ways.items() if kinds]
    return f"An estimate for one process: {'; '.join(said) or 'nothing is left'}"


def _shortly(names: Collection[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(list(names)[:3]) + more


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
