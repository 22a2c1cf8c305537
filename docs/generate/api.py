"""The pages of the Python interface: what `xattn` exports, documented by its docstrings."""

from __future__ import annotations

import inspect

from rich.text import Text

import xattn
from xattn.settings import Settings


def _pages(title: str, about: str, names: list[str]) -> str:
    parts = [f"# {title}\n\n{about}\n"]
    for name in names:
        value = getattr(xattn, name)
        if inspect.isclass(value) and issubclass(value, Settings):
            parts.append(f"## xattn.{name}\n\n{inspect.getdoc(value)}\n\n{_fields(value)}")
            continue
        # The alias in `xattn` is what people type; the docstring stands where it is defined.
        heading = f"options:\n      heading: xattn.{name}\n      toc_label: {name}"
        parts.append(f"::: {value.__module__}.{value.__qualname__}\n    {heading}\n")
    return "\n".join(parts)


def _fields(settings: type[Settings]) -> str:
    """Return the table of a settings class: each field, its default and its meaning."""
    lines = ["| field | default | |", "|---|---|---|"]
    for name, option in settings.options().items():
        meaning = " ".join(Text.from_markup(option.help).plain.split()).replace("|", "\\|")
        lines.append(f"| `{name}` | `{getattr(settings, name)!r}` | {meaning} |")
    return "\n".join(lines) + "\n"


def _names(classes: bool) -> list[str]:
    named = [name for name in xattn.__all__ if not name.startswith("__")]
    return [name for name in named if inspect.isclass(getattr(xattn, name)) == classes]


def functions() -> str:
    """Return the page of the functions."""
    about = (
        "What a notebook calls; what the functions return is on [the next page](python-classes.md)."
    )
    return _pages("Python functions", about, _names(classes=False))


def classes() -> str:
    """Return the page of the classes."""
    about = "What the [functions](python-functions.md) take and return."
    return _pages("Python classes", about, _names(classes=True))
