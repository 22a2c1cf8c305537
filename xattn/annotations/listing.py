"""Which files are there, without asking for each of half a million one by one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from xattn.images.beside import without_masks
from xattn.images.containers import has_file, members_below
from xattn.images.find import find_paths
from xattn.images.ids import printable
from xattn.images.image_files import is_image
from xattn.images.walk import Walk

_FEW = 16
"""Questions about one folder after which it is listed instead."""


class Listing:
    """Answers whether files exist; a folder that is asked about often is listed once.

    On a network disk a listing takes a moment and a million questions take an hour.
    """

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str | Path) -> bool:
        """Say whether there is a file at a path."""
        folder, name = os.path.split(path)
        names = self._names.get(folder)
        if names is None:
            self._asked[folder] += 1
            if self._asked[folder] <= _FEW:
                return has_file(path)
            names = self._names[folder] = frozenset(_files(folder))
        # Some disks find a name that is spelled otherwise in the listing.
        return name in names or has_file(path)


def images_below(
    root: str | Path, note: Callable[[str], None], mask_folders: Sequence[Path] = ()
) -> list[tuple[str, str]]:
    """Return (folder, file name) of the images below a folder, sorted, without masks among them.

    Args:
        root: the folder; links in it are followed.
        note: takes a line on what is passed over, and on the masks that are left out.
        mask_folders: the user has named these as folders of masks.
    """

    def about_images(line: str) -> None:
        note(type(line)(f"images: {line}"))  # a remark stays one

    paths = find_paths(root, about_images) if is_place(root) else []
    found = [path for path in paths if str(path) == printable(str(path))]
    if len(found) < len(paths):
        odd = next(str(path) for path in paths if str(path) != printable(str(path)))
        note(
            f"images: {len(paths) - len(found)} are left out because their names are no UTF-8, "
            f"such as {printable(odd)}; rename them"
        )
    real = Path(root).resolve()
    inner = [place for place in map(Path.resolve, mask_folders) if place != real]
    if inner:
        given = {folder for folder in {p.parent for p in found} if _is_below(folder, inner)}
        found = [path for path in found if path.parent not in given]
    told = None if inner else note
    kept = without_masks(found, told, "add them with --lesion-masks DIR or --mask NAME=DIR")
    return [(str(path.parent), path.name) for path in kept]


def below(root: str | Path, paths: Iterable[str]) -> list[str]:
    """Return paths of a folder, or of files in it, relative to the folder; "" for itself.

    Args:
        root: as it was given to what listed them; "." stands in no path.
        paths: as `images_below` returns folders.
    """
    top = str(root)
    if top == ".":
        return ["" if path == "." else path.removeprefix("./") for path in paths]
    start = len(top) if top.endswith(os.sep) else len(top) + 1
    return [path[start:].replace("\\", "/") for path in paths]


def is_place(root: str | Path) -> bool:
    """Say whether there is a folder, an archive, or a folder in one."""
    return os.path.isdir(root) or members_below(root) is not None


def folders_in(root: str | Path) -> list[str]:
    """Return the names of the folders in a folder, which may be one in an archive, or an archive.

    Hidden ones are left out.
    """
    if not os.path.isdir(root):
        inside = below(root, members_below(root) or ())
        return sorted({path.partition("/")[0] for path in inside if "/" in path})
    with os.scandir(root) as entries:
        return sorted(one.name for one in entries if one.is_dir() and one.name[0] != ".")


def has_images(root: str | Path) -> bool:
    """Say whether there is an image below a folder, without going through all of it."""
    inside = members_below(root)
    if inside is not None:
        return any(map(is_image, inside))
    return any(is_image(os.path.join(folder, name)) for folder, name in Walk(root))


def _is_below(folder: Path, places: Sequence[Path]) -> bool:
    real = folder.resolve()
    return any(real == place or place in real.parents for place in places)


def _files(folder: str) -> Iterator[str]:
    """Yield the names of the files in a folder, which may be one in an archive."""
    inside = members_below(folder)
    if inside is not None:
        start = len(folder) + 1
        yield from (path[start:] for path in inside if "/" not in path[start:])
        return
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except (OSError, ValueError):  # a path with a zero in it is a ValueError
        return
