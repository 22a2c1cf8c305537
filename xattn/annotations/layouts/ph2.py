"""PH²: 200 dermoscopic images with lesion masks and structures.

Mendonça et al. 2013, doi:10.1109/EMBC.2013.6610779. The table is text between double bars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.records import AnnotatedImage
from xattn.annotations.schema import Kind, Rle, Value
from xattn.documents import decode_text
from xattn.errors import AnnotationError
from xattn.images.find import find_paths

CLASSES = ("common nevus", "atypical nevus", "melanoma")
"""In the order of the table's codes 0, 1 and 2."""
STRUCTURES = (
    "pigment_network", "dots_globules", "streaks", "regression_areas", "blue_whitish_veil",
)  # fmt: skip
COLOURS = ("white", "red", "light_brown", "dark_brown", "blue_gray", "black")
"""In the order of the table's codes 1 to 6."""
TYPES = {"A": "absent", "T": "typical", "AT": "atypical", "P": "present"}

_TABLE = "PH2_dataset.txt"
_ROW = re.compile(r"\|\|\s*(IMD\d+)\s*\|\|(.*)")
_DEEPEST = 2


def _table(root: Path) -> Path | None:
    found = (p for depth in range(_DEEPEST + 1) for p in root.glob("*/" * depth + _TABLE))
    return next(found, None)


@layout("ph2", detect=lambda root: _table(root) is not None, domain="dermoscopy")
def ph2(sources: Sources, note: Note) -> Draft:
    """Read PH2_dataset.txt: three classes, lesion masks, structures and colours.

    Values: whether each structure is there, the types of network and globules (typical or
    atypical), asymmetry (number of axes), and of six colours whether the lesion has them.

    Raises:
        AnnotationError: there is no such table, a row of it is damaged, or no image is there.
    """
    table = _table(sources.root)
    if table is None:
        raise AnnotationError(f"Expected {_TABLE} under {sources.root}, but found none")
    files = {path.stem: path for path in find_paths(sources.root, lambda _: None)}
    rows = list(_rows(table))
    images = []
    for name, label, values in rows:
        if name in files:
            lesion: Path | Rle | None = files.get(f"{name}_lesion")
            images.append(
                AnnotatedImage(name, files[name], label=label, lesion=lesion, values=values)
            )
    if not images:
        raise AnnotationError(
            f"Expected the images of {table}, such as {rows[0][0] if rows else 'IMD003'}.bmp, "
            f"under {sources.root}, but found none"
        )
    if len(images) < len(rows):
        note(f"images: {len(rows) - len(images)} of {len(rows)} that the table names are not there")
    without = sum(image.lesion is None for image in images)
    if without:
        note(f"lesion: {without} images have no mask beside them")
    kinds: dict[str, Kind] = dict.fromkeys(STRUCTURES, "structure")
    more = dict.fromkeys(key for image in images for key in image.values if key not in kinds)
    kinds |= dict.fromkeys(more, "metadata")
    there = {image.label for image in images}
    return Draft(tuple(one for one in CLASSES if one in there), kinds, tuple(images))


def _rows(table: Path) -> Iterator[tuple[str, str, dict[str, Value]]]:
    """Yield the name, class and values of each row.

    Raises:
        AnnotationError: a row is damaged.
    """
    text, _ = decode_text(table.read_bytes(), guess=True)
    for number, line in enumerate(text.splitlines(), start=1):
        row = _ROW.match(line.strip())
        if row is None:
            continue
        cells = [cell.strip() for cell in row[2].split("||")]
        try:
            diagnosis, features, colours = cells[1], cells[2], cells[3]
            yield row[1], CLASSES[int(diagnosis)], _values(features, colours)
        except (IndexError, ValueError, KeyError):
            raise AnnotationError(
                f"Expected || name || histology || 0, 1 or 2 || features || colours || in line "
                f"{number} of {table}, but got {line.strip()[:60]!r}"
            ) from None


def _values(features: str, colours: str) -> dict[str, Value]:
    asymmetry, *codes = (cell.strip() for cell in features.split("|"))
    values: dict[str, Value] = {}
    for name, code in zip(STRUCTURES, codes, strict=True):
        values[name] = int(TYPES[code] != "absent")
        if code in ("T", "AT"):
            values[f"{name}_type"] = TYPES[code]
    values["asymmetry_axes"] = int(asymmetry)
    seen = {int(code) for code in re.findall(r"\d", colours)}
    values |= {f"color_{name}": int(i in seen) for i, name in enumerate(COLOURS, start=1)}
    return values
