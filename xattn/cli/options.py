"""Options that several commands share, each written once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
PLACE = click.Path(path_type=Path)


class Size(click.ParamType[tuple[int, int]]):
    """A size in pixels: `224`, or `HEIGHTxWIDTH`."""

    name = "H[xW]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        parts = str(value).lower().split("x")
        if len(parts) > 2 or not all(p.isdecimal() and int(p) > 0 for p in parts):
            self.fail(f"Expected a size like 224 or 192x256, but got {value}", param, ctx)
        return int(parts[0]), int(parts[-1])


class Colours(click.ParamType[tuple[float, float, float]]):
    """`RED,GREEN,BLUE`, or one number for all."""

    name = "R,G,B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float, float]:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 3) or not all(math.isfinite(n) for n in numbers):
            self.fail(f"Expected numbers like 0.485,0.456,0.406, but got {value}", param, ctx)
        if max(map(abs, numbers)) > 2:
            self.fail(
                f"Expected values of pixels between 0 and 1, but got {value}; divide by 255",
                param,
                ctx,
            )
        if self.positive and min(numbers) <= 0:
            self.fail(f"Expected numbers above 0, but got {value}", param, ctx)
        r, g, b = numbers * (3 // len(numbers))
        return r, g, b


class Window(click.ParamType[Any]):
    """`LOW,HIGH`, or `auto`."""

    name = "LOW,HIGH|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple) or value == "auto":
            return value
        try:
            low, high = (float(part) for part in str(value).split(","))
        except ValueError:
            low, high = 0.0, 0.0
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            self.fail(f"Expected auto or two values like 0,4095, but got {value}", param, ctx)
        return low, high


class Named(click.ParamType[tuple[str, float]]):
    """`NAME=NUMBER`."""

    name = "NAME=NUMBER"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        name, equals, number = str(value).partition("=")
        try:
            return name, float(number if equals else "")
        except ValueError:
            self.fail(f"Expected NAME=NUMBER, but got {value}", param, ctx)


def common(function: F) -> F:
    """Add what every command takes: --quiet, --json, --debug."""
    for option in (
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
        click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout."),
        click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors."),
    ):
        function = option(function)
    return function


def computing(function: F) -> F:
    """Add where and how to compute: --device, --batch-size, --workers."""
    for option in (
        click.option(
            "--workers", type=click.IntRange(0), help="Threads for decoding and overlays."
        ),
        click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda", "mps"]),
            default="auto",
            show_default=True,
        ),
    ):
        function = option(function)
    return function


def model_options(required: bool, several: bool = False) -> Callable[[F], F]:
    """Add how a checkpoint becomes a model, or several checkpoints and folders of them do."""

    def add(function: F) -> F:
        for option in (
            click.option(
                "--unsafe-pickle",
                is_flag=True,
                help="Allow a pickled module: reading it [bold]runs code[/] from the file.",
            ),
            click.option(
                "--output",
                metavar="KEY",
                help="Which part of what the model returns, by name or index.",
            ),
            click.option(
                "--outputs",
                metavar="auto|softmax|sigmoid|probabilities",
                default="auto",
                show_default="auto",
                help="What they are: logits of classes, independent logits, probabilities.",
            ),
            click.option("--target-layer", help="Layer to explain; found by probing otherwise."),
            click.option(
                "--input-mode",
                type=click.Choice(["squash", "crop"]),
                help="Resize the whole image, or scale the shorter side and crop the centre.",
            ),
            click.option(
                "--weights",
                type=click.Choice(["ema", "raw"]),
                help="Averaged or last weights, where the file holds both; averaged by default.",
            ),
            click.option(
                "--window",
                type=Window(),
                help="Black and white of images deeper than 8 bits; all of 16 bits by default.",
            ),
            click.option(
                "--interpolation",
                type=click.Choice(["bilinear", "bicubic", "lanczos", "nearest"]),
                help="Resampling in the training, where no record says it.",
            ),
            click.option(
                "--std",
                type=Colours(positive=True),
                help="Standard deviation of the normalisation, of pixels in \\[0, 1].",
            ),
            click.option(
                "--mean",
                type=Colours(),
                help="Mean of the normalisation, of pixels in \\[0, 1].",
            ),
            click.option("--size", type=Size(), help="Input size of a model that stores none."),
            click.option("--classes", help="Class names in the order of the logits, by commas."),
            click.option("--arch", help="Architecture of a checkpoint without a name."),
            click.option(
                "--ckpt",
                type=PLACE,
                required=required,
                multiple=several,
                help="The checkpoint; several of one training, or their folder: usage over steps."
                if several
                else "The checkpoint, or a folder that holds one.",
            ),
        ):
            function = option(function)
        return function

    return add


positive_option = click.option(
    "--positive",
    multiple=True,
    metavar="NAME",
    help="Class that rates and the sign of scores speak of, default the last of two; of more, the "
    "one to hold against the rest, or several (repeatable, or by commas) together.",
)
seed_option = click.option("--seed", type=int, default=0, show_default=True)
strict_option = click.option(
    "--strict", is_flag=True, help="Exit with 3 if any input had to be skipped."
)
