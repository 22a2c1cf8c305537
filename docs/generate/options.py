"""Tables of the options of every command, from the commands themselves.

`python docs/generate/options.py` writes the tables in docs/*.md anew, each between a line
`<!-- options: xattn COMMAND -->` and a line `<!-- end of options -->`; a test compares them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from rich.text import Text

from xattn.cli import app

DOCS = Path(__file__).parents[1]
COMMON = {"plugins", "quiet", "as_json", "debug"}
"""What every command takes, described once in docs/README.md."""

ARGUMENTS = {
    "annotations build": "Folder of the data set.",
    "annotations check": "The annotation file.",
    "annotations detect": "The annotation file.",
    "annotations split": "The annotation file.",
    "compare": "Folders of `xattn train` or `xattn evaluate`, one a seed; `NAME=FOLDER` names one.",
    "figures": "Folders of runs, comparisons or searches; default the last run here.",
    "merge": "Run folders of one model, such as the shards of one job.",
    "models": "Architectures; default those of the study.",
    "report": "Run folders, side by side; default the last one here.",
    "search": "A TOML file with a [search] table.",
    "study": "A TOML file, the recipe of a study.",
    "train": "A TOML file, the recipe.",
    "verify": "Folders of runs, trainings, searches, comparisons or studies.",
}
"""What each command's argument is; click has no help for arguments."""

MARKED = re.compile(
    r"(<!-- options: xattn ([a-z -]+) -->\n)(.*?)(<!-- end of options -->)", re.DOTALL
)


def commands() -> dict[str, click.Command]:
    """Return the commands by their words, such as `annotations build`."""

    def walk(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield from walk((*words, name), inner)
        else:
            yield " ".join(words), command

    return dict(walk((), app))


def table(words: str) -> str:
    """Return the Markdown table of a command's arguments and options."""
    command = commands()[words]
    lines = ["| option | default | |", "|---|---|---|"]
    for parameter in command.params:
        if parameter.name not in COMMON and not getattr(parameter, "hidden", False):
            cells = (_names(parameter), _default(parameter), _help(parameter, words))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _names(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        dots = "..." if parameter.nargs == -1 else ""
        return f"`{_cell((parameter.metavar or parameter.human_readable_name.upper()) + dots)}`"
    value = "" if parameter.is_flag else f" {_value(parameter)}"
    return ", ".join(f"`{_cell(name + (value if name.startswith('--') else ''))}`"
                     for name in parameter.opts)  # fmt: skip


def _value(parameter: click.Parameter) -> str:
    kind = parameter.type
    if parameter.metavar:
        return parameter.metavar
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    if isinstance(kind, click.types.IntParamType):
        return "N"
    if isinstance(kind, click.types.FloatParamType):
        return "X"
    return kind.name.upper() if kind.name.islower() else kind.name


def _default(parameter: click.Parameter) -> str:
    shown, value = getattr(parameter, "show_default", None), parameter.default
    if parameter.required:
        return "required"
    if isinstance(shown, str):
        return shown
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return f"`{value}`" if shown and value != "" and not callable(value) else ""


def _help(parameter: click.Parameter, words: str) -> str:
    if isinstance(parameter, click.Argument):
        return ARGUMENTS[words]
    text = Text.from_markup(parameter.help or "").plain
    return _cell(" ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def renewed(markdown: str) -> str:
    """Return a page with its tables of options written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", markdown)


def reference() -> str:
    """Return the page of all commands: what each does, and its options."""
    parts = [
        "# Commands\n\nEvery command with its options, as `xattn COMMAND --help` prints them. "
        "`--plugin`, `--quiet`, `--json`, `--debug` and `--help` are those of "
        "[every command](common.md#options-and-exit-codes).\n"
    ]
    for words, command in commands().items():
        about = inspect.cleandoc(Text.from_markup((command.help or "").partition("\f")[0]).plain)
        page = f"{words.split()[0]}.md"
        more = f"More on its page: [{page.removesuffix('.md')}]({page}).\n"
        parts.append(f"## xattn {words}\n\n{about}\n\n{table(words)}\n{more}")
    return "\n".join(parts)


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
