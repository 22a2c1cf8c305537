"""How values are written on the command line: sizes, colours, windows, names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import rich_click as click


class Place(click.Path):
    """A path, or an address such as s3://bucket/images: then the path that stands for it."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Check, and look at an address."""
        from xattn.addresses.doors import local

        return super().convert(local(value), param, ctx)


FILE = Place(path_type=Path, dir_okay=False)
PLACE = Place(path_type=Path)


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


class Colours(click.ParamType[tuple[float, ...]]):
    """`RED,GREEN,BLUE`, a number for each of other channels, or one for all."""

    name = "R,G,B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if not numbers or not all(math.isfinite(n) for n in numbers):
            self.fail(f"Expected numbers like 0.485,0.456,0.406, but got {value}", param, ctx)
        if max(map(abs, numbers)) > 2:
            self.fail(
                f"Expected values of pixels between 0 and 1, but got {value}; divide by 255",
                param,
                ctx,
            )
        if self.positive and min(numbers) <= 0:
            self.fail(f"Expected numbers above 0, but got {value}", param, ctx)
        return tuple(numbers)


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


class Names(click.ParamType[tuple[str, ...]]):
    """Names, comma-separated."""

    name = "NAME,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Split; blanks around a name do not belong to it."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(","))


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
