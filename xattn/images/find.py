"""Which image files a user means by a directory, a glob, or a list."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.errors import UsageError, XattnError
from xattn.images.beside import without_masks

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2")


@dataclass(frozen=True)
class ImageFile:
    """One image on disk and the name it goes by in every table."""

    id: str
    path: Path


_ALL_THE_SAME = "list them in a .txt file to have them all the same"


def find_images(
    source: str | Path | Iterable[str | Path],
    note: Callable[[str], None] | None = None,
    named: Iterable[Path] = (),
) -> list[ImageFile]:
    """List the images under a directory (recursive), of a glob, a file, or several of these.

    A text file (`.txt`) lists one path a line, relative to itself. Files in a directory are taken
    by their ending and sorted by path, so that two calls give the same order; hidden ones are
    passed over, and so is what lies in a run folder, whose overlays are no inputs. The id is the
    file's name without its ending. Two files of one id are both returned: the caller decides
    which is done. Masks that lie among the images of a directory or glob are left out, see
    `masks_among`; files that are named one by one never are.

    Args:
        source: what the user named.
        note: takes a line on what was left out.
        named: files that are known to be images, whatever they are called.

    Raises:
        UsageError: nothing exists at a path.
        XattnError: there is no image at all.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    paths = [path for one in sources for path in _expand(str(one), note, list(named))]
    unique = list(dict.fromkeys(paths))
    if not unique:
        shown = ", ".join(str(s) for s in sources) or "an empty list"
        raise XattnError(
            f"Expected images in {shown}, but found none; endings looked for: {' '.join(ENDINGS)}"
        )
    return [ImageFile(path.stem, path) for path in unique]


def _expand(
    source: str, note: Callable[[str], None] | None, named: Sequence[Path]
) -> Sequence[Path]:
    path = Path(source)
    if path.is_dir():
        inside = sorted(path.rglob("*"))
        runs = {p.parent for p in inside if p.name == "run.json"}
        images = [
            p
            for p in inside
            if p.suffix.lower() in ENDINGS
            and p.is_file()
            and not _hidden(p.relative_to(path))
            and runs.isdisjoint(p.parents)
        ]
        return without_masks(images, note, _ALL_THE_SAME, named)
    if path.is_file():
        if path.suffix.lower() == ".txt":
            # -sig: Notepad puts a mark before the first line.
            lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
            return [path.parent / line for line in lines if line and not line.startswith("#")]
        return [path]
    if glob.has_magic(source):
        found = (Path(p) for p in glob.glob(source, recursive=True))
        images = sorted(p for p in found if p.is_file() and p.suffix.lower() in ENDINGS)
        return without_masks(images, note, _ALL_THE_SAME, named)
    raise UsageError(f"Expected an image, a directory, a glob or a .txt list, but got {source}")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
