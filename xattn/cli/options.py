"""Options of several commands, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from xattn.cli.value_types import PLACE
from xattn.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def _load_plugins(_context: Any, _option: Any, files: tuple[Path, ...]) -> None:
    if files:
        from xattn.plugins import load_file

        for file in files:
            load_file(file)


plugin_option = click.option(
    "--plugin",
    "plugins",
    type=PLACE,
    multiple=True,
    metavar="FILE",
    expose_value=False,
    callback=_load_plugins,
    help="Python file that registers models, methods, features and the like; repeatable.",
)


def _no_amp(_context: Any, _option: Any, given: bool) -> None:
    if given:
        raise UsageError(
            "Expected --precision 16 or --precision bf16, but got --amp, which it took the place of"
        )


amp_option = click.option(
    "--amp",
    is_flag=True,
    hidden=True,
    expose_value=False,
    callback=_no_amp,
    help="What --precision took the place of.",
)


def common(function: F) -> F:
    """Add what every command takes: --plugin, --quiet, --json, --debug."""
    for option in (
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
        click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout."),
        click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors."),
        plugin_option,
    ):
        function = option(function)
    return function


def checkpoint_option(required: bool, more: str = "") -> Callable[[F], F]:
    """Add --ckpt: one checkpoint, or several, for what `more` says."""
    return click.option(
        "--ckpt",
        type=PLACE,
        required=required,
        multiple=bool(more),
        help=f"The checkpoint, or a folder that holds one{'; ' if more else '.'}{more}",
    )


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Same seed, same results."
)
strict_option = click.option(
    "--strict",
    is_flag=True,
    help="Exit with 3 if any input had to be skipped or lost depth, with 1 if a checkpoint leaves "
    "a guess.",
)
