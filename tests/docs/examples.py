"""The examples on the pages: found, told apart by whether they are run, and run.

A block ```` ```console ```` shows commands after `$ ` and what they print, ```` ```sh ```` commands
alone, ```` ```python ```` code. `<!-- not run: REASON -->` on the line before says that a block is
only looked at. All others are run in the order of their page, in a copy of the workshop.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "models/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n+)?^(?P<indent> *)```(?P<kind>\w*)[^\n]*\n"
    r"(?P<body>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """One block of a page; `reason` says why it is not run, "" if it is."""

    page: Path
    line: int
    kind: str
    body: str
    reason: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands, each on one line and without its comment; none of other blocks."""
        lines = self.body.replace("\\\n", " ").splitlines()
        if self.kind == "console":
            return [line[2:] for line in lines if line.startswith("$ ")]
        return lines if self.kind == "sh" else []

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each `xattn` command among them."""
        found = []
        for command in self.commands:
            words = shlex.split(command, comments=True)
            while "&&" in words:
                found, words = [*found, words[: words.index("&&")]], words[words.index("&&") + 1 :]
            found.append(words)
        return [words[1:] for words in found if words[:1] == ["xattn"]]


def examples(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    return [
        Example(page, text[: found.start("kind")].count("\n") + 1, found["kind"], found["body"],
                found["reason"] or "")
        for found in _BLOCK.finditer(text)
    ]  # fmt: skip


def all_examples() -> list[Example]:
    return [example for page in PAGES for example in examples(page)]
