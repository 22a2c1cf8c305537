"""Tables of what is done to images of which domain, from the registries.

`python docs/generate/domains.py` writes them in docs/domains.md anew, each between a line
`<!-- domains: NAME -->` and a line `<!-- end of domains -->`; a test compares them. It also draws
the sheet of the images that the page's Python makes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.registry import INTERVENTIONS
from xattn.annotations.layouts.registry import LAYOUTS
from xattn.features.computed import COMPUTED_FEATURES
from xattn.features.detected import DETECTORS
from xattn.images.domains import COLOURED, DOMAINS, NEUTRAL, applies
from xattn.training.augmentations import AUGMENTATIONS

PAGE = Path(__file__).parents[1] / "domains.md"
SHEET = PAGE.parent / "images" / "domains-sheet.jpg"

MARKED = re.compile(r"(<!-- domains: ([\w ]+) -->\n)(.*?)(<!-- end of domains -->)", re.DOTALL)


def suited(registry: Mapping[str, Any], of: str) -> str:
    """Return a table of the entries of a registry, and of which domains they are for."""
    rows = []
    for name, entry in registry.items():
        cells = ["yes" if applies(entry.domains, domain) else "" for domain in DOMAINS]
        if name == "light":  # its control is a cast of colours, which grey images lack
            cells = [cell if domain in COLOURED else "yes, no control" for cell, domain in
                     zip(cells, DOMAINS, strict=True)]  # fmt: skip
        rows.append([f"`{name}`", NEUTRAL.put_into(entry.meaning).rstrip("."), *cells])
    return _table([of, "", *(f"`{name}`" for name in DOMAINS)], rows)


def domains() -> str:
    """Return a table of the domains: what they are, how found, how augmented."""
    rows = []
    for name, domain in DOMAINS.items():
        layouts = [f"`{key}`" for key, layout in LAYOUTS.items() if layout.domain == name]
        seen = "yes" if domain.looks is not None else ""
        rows.append([f"`{name}`", domain.meaning.rstrip("."), ", ".join(layouts), seen])
    return _table(["domain", "images", "layouts that are of it", "seen in the images"], rows)


def words() -> str:
    """Return a table of what sentences call the same in each domain."""
    rows = [
        [f"`{name}`", one.lesion, one.skin, one.groups]
        for name, one in {**{n: d.words for n, d in DOMAINS.items()}, "not known": NEUTRAL}.items()
    ]
    heads = ["domain", "what the mask `lesion` outlines", "where nothing is annotated", "groups"]
    return _table(heads, [[row[0].replace("`not known`", "not known"), *row[1:]] for row in rows])


def augmentations() -> str:
    """Return a table of the augmentation of each domain, and what it turns over."""
    rows = []
    for name, domain in DOMAINS.items():
        entry = AUGMENTATIONS[domain.augment]
        change: Any = entry.change
        mirrored = [
            *(["left-right"] if change.flips or change.mirror else []),
            *(["top-bottom"] if change.flips else []),
        ]
        turned = [
            *(["quarters"] if change.quarter_turns else []),
            *([f"up to {change.rotation:g}°"] if change.rotation else []),
        ]
        meaning = entry.meaning.rstrip(".")
        rows.append(
            [f"`{name}`", f"`{entry.name}`", meaning, ", ".join(mirrored) or "no",
             " and ".join(turned)]
        )  # fmt: skip
    return _table(["domain", "`augment`", "", "mirrored", "turned"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


PARTS: dict[str, Callable[[], str]] = {
    "all": domains,
    "computed": lambda: suited(COMPUTED_FEATURES, "computed feature"),
    "detected": lambda: suited(DETECTORS, "detector"),
    "edits": lambda: suited(INTERVENTIONS, "edit"),
    "graded edits": lambda: suited(GRADED_EDITS, "graded edit"),
    "augmentations": augmentations,
    "words": words,
}


def renewed(markdown: str) -> str:
    """Return the page with its tables written anew."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[4]}", markdown)


def draw_sheet(markdown: str) -> Image.Image:
    """Return six images of each domain, as the Python on the page draws them."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", markdown, re.M | re.S)
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(code, {})
        rows = [sorted(Path(name, "images").iterdir())[:6] for name in sorted(Path().iterdir())]
        sheet = Image.new("RGB", (6 * 128, len(rows) * 96))
        for y, row in enumerate(rows):
            for x, path in enumerate(row):
                sheet.paste(Image.open(path), (x * 128, y * 96))
    return sheet


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw_sheet(PAGE.read_text(encoding="utf-8")).save(SHEET, quality=85)
