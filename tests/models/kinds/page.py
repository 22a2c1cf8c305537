"""Writes the table of docs/models.md: what becomes of each kind of checkpoint.

`python -m tests.models.kinds.page` writes it; a test builds every file and compares the page.
"""

from __future__ import annotations

from pathlib import Path

from tests.models.kinds import foreign, hugging_face, trainings
from tests.models.kinds.kind import REFUSED, Kind

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
KINDS = [*trainings.KINDS, *hugging_face.KINDS, *foreign.KINDS]

_BEGIN, _END = "<!-- kinds -->\n", "<!-- end of kinds -->\n"
_OPTIONS = {"arch": "--arch", "classes": "--classes", "unsafe_pickle": "--unsafe-pickle"}


def markdown() -> str:
    """Return the table, one row a kind."""
    lines = ["| written by | file | needs | |", "|---|---|---|---|"]
    for kind in KINDS:
        needs = ", ".join(f"`{_OPTIONS[key]}`" for key in kind.options)
        lines.append(f"| {kind.library} | {kind.what} | {needs} | {_verdict(kind)} |")
    return "\n".join(lines) + "\n"


def _verdict(kind: Kind) -> str:
    return f"refused: {kind.because}" if kind.verdict == REFUSED else kind.verdict


def main() -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    PAGE.write_text(before + _BEGIN + markdown() + _END + rest.partition(_END)[2])


if __name__ == "__main__":
    main()
