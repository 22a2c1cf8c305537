"""The figure and the table of docs/architecture.md, from the import contract in pyproject.toml.

`python docs/generate/layers.py` writes both anew; a test compares them.
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
FIGURE = ROOT / "docs" / "images" / "architecture.svg"
MARKED = re.compile(r"(<!-- packages -->\n)(.*?)(<!-- end of packages -->)", re.DOTALL)

_WIDTH, _ROW, _GAP = 880, 72, 10


def layers() -> list[list[str]]:
    """Return the packages, highest layer first; those of one layer know nothing of each other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    return [[name.removeprefix("xattn.") for name in re.split(r" [|:] ", layer)]
            for layer in contract["layers"]]  # fmt: skip


def summary(name: str) -> str:
    """Return the first line of a package's or module's docstring, without its full stop."""
    path = ROOT / "xattn" / name
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].rstrip(".")


def figure() -> str:
    """Return the drawing: a row a layer, a box a package; imports go down."""
    rows = layers()
    height = len(rows) * (_ROW + _GAP) + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif">',
        "<title>The packages of xattn in layers; each may import what lies below it</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<path d="M24 {_GAP + 8} V{height - _GAP - 12}" stroke="#5f6b6d" stroke-width="2"/>',
        f'<path d="M18 {height - _GAP - 14} h12 l-6 12 z" fill="#5f6b6d"/>',
        f'<text transform="translate(14 {height / 2:g}) rotate(-90)" text-anchor="middle" '
        'font-size="13" fill="#3c4648">may import</text>',
    ]
    for i, names in enumerate(rows):
        width = (_WIDTH - 48 - _GAP * len(names)) / len(names)
        for k, name in enumerate(names):
            parts += _box(name, 48 + k * (width + _GAP), _GAP + i * (_ROW + _GAP), width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(name: str, x: float, y: float, width: float) -> list[str]:
    lines = _wrapped(summary(name), int(width / 7.2))
    parts = [
        f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{_ROW}" rx="6" fill="#e6f2f1" '
        'stroke="#00796b"/>',
        f'<text x="{x + 10:g}" y="{y + 20}" font-size="15" font-weight="bold" fill="#004d40">'
        f"{name}</text>",
    ]
    for i, line in enumerate(lines[:3]):
        parts.append(f'<text x="{x + 10:g}" y="{y + 36 + 14 * i}" font-size="11.5" '
                     f'fill="#22302f">{escape(line)}</text>')  # fmt: skip
    return parts


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if len(line) + 1 + len(word) > width and line:
            lines, line = [*lines, line], ""
        line = f"{line} {word}".strip()
    return [*lines, line]


def table() -> str:
    """Return the Markdown table: package, what it holds, which layers it may import."""
    rows = layers()
    lines = ["| package | holds | may import |", "|---|---|---|"]
    for i, names in enumerate(rows):
        below = ", ".join(f"`{name}`" for name in rows[i + 1]) if i + 1 < len(rows) else ""
        allowed = f"{below} and all below" if i + 2 < len(rows) else below or "nothing"
        for name in names:
            lines.append(f"| `{name}` | {summary(name)} | {allowed} |")
    return "\n".join(lines) + "\n"


def renewed(markdown: str) -> str:
    """Return the page with its table written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{table()}{found[3]}", markdown)


if __name__ == "__main__":
    FIGURE.write_text(figure(), encoding="utf-8")
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
