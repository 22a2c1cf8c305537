"""What `mkdocs build` adds to the pages in docs/: reference pages, and pages that lie elsewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import api  # noqa: E402
import options  # noqa: E402
import tables  # noqa: E402

ELSEWHERE = {
    "recipes.md": "models/README.md",
    "studies.md": "analysis/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site that are files of the repository outside docs/."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are generated and those that lie elsewhere."""
    pages = {name: (ROOT / path).read_text(encoding="utf-8") for name, path in ELSEWHERE.items()}
    pages["commands.md"], pages["tables.md"] = options.reference(), tables.reference()
    pages["python-functions.md"], pages["python-classes.md"] = api.functions(), api.classes()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links to files outside docs/ to their pages; write generated tables anew."""
    folder = Path(ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def target(link: re.Match[str]) -> str:
        path, _, anchor = link[1].partition("#")
        found = (ROOT / folder / path).resolve()
        for name, source in ELSEWHERE.items():
            if found == ROOT / source:
                return f"]({name}{'#' + anchor if anchor else ''})"
        if page.file.src_uri in ELSEWHERE and found.is_relative_to(ROOT / "docs"):
            return f"]({found.relative_to(ROOT / 'docs')}{'#' + anchor if anchor else ''})"
        return link[0]

    linked = re.sub(r"\]\(([^():#\s]+\.md(?:#[^)\s]*)?)\)", target, markdown)
    return _with_bare_bars(tables.renewed(options.renewed(linked)))


def _with_bare_bars(markdown: str) -> str:
    """Take the backslash from bars in the code of tables: GitHub needs it there, and hides it.

    A zero-width space after each lets long lists of choices go on in the next line.
    """

    def bare(code: re.Match[str]) -> str:
        return code[0].replace("\\|", "|\u200b")

    lines = markdown.split("\n")
    return "\n".join(re.sub(r"`[^`]+`", bare, s) if s.startswith("|") else s for s in lines)
