"""Which image files a user means by a directory, a glob, or a list."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xattn.errors import ImageError, Remark, UsageError, XattnError
from xattn.images.beside import without_masks
from xattn.images.containers import expect_unpacked, is_container, members_below
from xattn.images.from_lists import LISTS, listed_paths
from xattn.images.ids import distinct_ids, printable, stem
from xattn.images.image_files import is_image
from xattn.images.kinds import DOCUMENTS
from xattn.images.walk import OWN, Walk, is_litter
from xattn.paths import as_paths


@dataclass(frozen=True)
class ImageFile:
    """One image on disk and the name it goes by in every table."""

    id: str
    path: Path


_ALL_THE_SAME = "list them in a .txt file to have them all the same"
_TO_BE_CONVERTED = frozenset({".nii", ".svs", ".ndpi", ".mrxs", ".cr2", ".nef", ".arw"})

Note = Callable[[str], None]
"""Takes a line on what was passed over; a `Remark` where nothing was lost by it."""


def find_images(
    source: str | Path | Iterable[str | Path],
    note: Note | None = None,
    named: Iterable[Path] = (),
) -> list[ImageFile]:
    """List the images under a directory, of a glob, a file, or several of these.

    A text file (`.txt`) lists one path a line, relative to itself; so does a column of a table
    (`.csv`, `.tsv`, `.parquet`). A zip, tar or HDF5 file is read
    in place, as if it were a folder; so are those of a directory in which no image lies as a file
    of its own. In a directory (recursive, links
    followed, each real file once) and of a glob, files are taken that Pillow can decode, by their
    ending or their first bytes, and sorted by path, so that two calls give the same order. What is
    passed over is counted. Without a word go hidden files, what systems leave (`Thumbs.db`,
    `__MACOSX`), and what lies in a run folder, whose overlays are no inputs. Masks that lie among
    the images of a directory or glob are left out, see `masks_among`; files that are named one by
    one never are.

    The id is the file's name without its ending; of several files of one name, with their folders.

    Args:
        source: what the user named.
        note: takes a line on what was left out.
        named: files that are known to be images, whatever they are called.

    Raises:
        UsageError: nothing exists at a path.
        XattnError: there is no image at all.
    """
    sources = as_paths(source, "images", "; write it to a file first")
    notes: list[str] = []
    search = _Search(notes.append, list(named))
    for one in sources:
        search.add(str(one))
    found = search.found()
    if not found:
        shown = ", ".join(str(s) for s in sources) or "an empty list"
        notes += [
            f"{one} holds {name}, and what lies in a run folder is no input"
            for one in sources
            for name in OWN
            if (Path(one) / name).is_file()
        ]
        why = "".join(f"; {line}" for line in notes)
        raise XattnError(f"Expected images in {shown}, but found none{why}")
    if note is not None:
        for line in notes:
            note(line)
    return found


def find_paths(root: str | Path, note: Note) -> list[Path]:
    """List the images of a directory as `find_images` does, with the masks among them."""
    search = _Search(note, None)
    search.add(str(root))
    return search.paths()


def _files(n: int) -> str:
    return f"{n:,} file{'s' if n > 1 else ''}"


@dataclass(frozen=True)
class _Place:
    """A file, its path relative to what was searched, and that folder's name."""

    path: Path
    inside: str
    root: str


class _Search:
    """Goes through the sources one after the other; a file is taken once."""

    def __init__(self, note: Note, named: list[Path] | None) -> None:
        self._note = note
        self._named = named
        self._places: dict[str, _Place] = {}
        self._endings: Counter[str] = Counter()
        self._odd: list[tuple[str, str]] = []
        self._again = 0

    def add(self, source: str) -> None:
        path = Path(source)
        if path.is_dir():
            self._take(self._with_archives(self._walk(source)), source, walked=True)
        elif (inside := _inside(source)) is not None:
            self._take(inside, source, walked=True)
        elif path.is_file():
            _refuse_packed(source)
            listed = path.suffix.lower() in LISTS
            for one in listed_paths(path) if listed else [path]:
                self._put(_Place(one, one.name, one.parent.name))
        elif glob.has_magic(source):
            self._take(*self._glob(source), walked=False)
        else:
            raise UsageError(
                f"Expected an image, a directory, a glob, an archive or a list, but got {source}"
            )

    def found(self) -> list[ImageFile]:
        """Give the images their ids, and tell what was passed over."""
        self.paths()
        places = list(self._places.values())
        several = len({place.root for place in places}) > 1
        ids = distinct_ids(
            [place.inside for place in places],
            [place.root if several else "" for place in places],
        )
        images = [ImageFile(one, p.path) for one, p in zip(ids, places, strict=True)]
        changed = [image for image in images if image.id != stem(image.path.name)]
        if changed and self._named:
            known = {os.path.realpath(path) for path in self._named}
            changed = [image for image in changed if os.path.realpath(image.path) not in known]
        if changed:
            first = changed[0]
            self._note(
                Remark(
                    f"{len(changed):,} images share their name with another and are called after "
                    f"their folders too, such as {printable(first.id)} for "
                    f"{printable(str(first.path))}; an annotation file that names the files gives "
                    "them its ids"
                )
            )
        return images

    def paths(self) -> list[Path]:
        """Return the files, and tell what was passed over."""
        for documents in (False, True):
            counts = sorted(self._endings.items(), key=lambda one: (-one[1], one[0]))
            kinds = {e: n for e, n in counts if (e in DOCUMENTS) == documents}
            if kinds:
                shown = ", ".join(f"{n:,} {ending}" for ending, n in kinds.items())
                way_out = "; convert them to PNG or TIFF" if _TO_BE_CONVERTED & set(kinds) else ""
                line = f"passed over {_files(sum(kinds.values()))} of no format that can be read"
                self._note(
                    Remark(f"passed over {_files(sum(kinds.values()))} beside the images: {shown}")
                    if documents
                    else f"{line}: {shown}{way_out}"
                )
        if self._odd:
            path, reason = self._odd[0]
            self._note(f"passed over {_files(len(self._odd))}: {printable(path)} is {reason}")
        if self._again:
            links = "1 link" if self._again == 1 else f"{self._again:,} links"
            self._note(Remark(f"passed over {links} to what is there already"))
        return [place.path for place in self._places.values()]

    def _with_archives(self, files: list[str]) -> list[str]:
        """Return the files, with the members of archives if no image lies beside these."""
        archives = [path for path in files if is_container(path)]
        if not archives or any(map(is_image, files)):
            return files
        inside = [member for one in archives for member in _inside(one) or ()]
        if not inside:
            return files
        self._note(
            Remark(
                f"images are read in place from {_files(len(archives))}: "
                f"{', '.join(sorted(os.path.basename(one) for one in archives)[:4])}"
            )
        )
        return [*(path for path in files if path not in archives), *inside]

    def _glob(self, source: str) -> tuple[list[str], str]:
        """Return the files of a pattern, and the folder that it begins in."""
        parts = Path(source).parts
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        base = str(Path(*parts[:fixed])) if fixed else ""
        if "**" not in parts:
            found = (str(Path(path)) for path in glob.glob(source))
            return [p for p in found if os.path.isfile(p) and not is_litter(Path(p).name)], base
        # Python's own goes round in loops of links until the names are too long.
        below, pattern = self._walk(base), parts[fixed:]
        return [p for p in below if _matches(Path(p).parts[fixed:], pattern)], base

    def _walk(self, root: str) -> list[str]:
        walk = Walk(root or ".")
        found = [str(Path(folder, name)) for folder, name in walk]
        self._odd += walk.odd
        self._again += walk.again
        return found

    def _take(self, paths: Iterable[str], root: str, walked: bool) -> None:
        """Take the images among files below a folder, in the order of their paths.

        A walk gives each real file once, so only what an earlier source gave must be known then.
        """
        name = os.path.basename(os.path.abspath(root))
        start = len(os.path.join(Path(root), "")) if root else 0
        images = []
        for one in sorted(paths, key=lambda path: path.split(os.sep)):
            if is_image(one):
                images.append(Path(one))
            else:
                ending = os.path.splitext(one)[1].lower()
                self._endings[printable(ending) or "without an ending"] += 1
        if self._named is not None:
            images = without_masks(images, self._note, _ALL_THE_SAME, self._named)
        for path in images if walked and not self._places else self._not_yet_taken(images):
            self._put(_Place(path, str(path)[start:].replace(os.sep, "/"), name))

    def _not_yet_taken(self, paths: list[Path]) -> list[Path]:
        """Leave out links to files of this source, or of one before it, under another name."""
        folders: dict[str, str] = {}

        def real(path: Path) -> str:
            if path.is_symlink():
                return os.path.realpath(path)
            folder, name = os.path.split(os.path.abspath(path))
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            return os.path.join(folders[folder], name)

        known = {real(place.path): key for key, place in self._places.items()}
        kept = []
        for path in sorted(paths, key=Path.is_symlink):
            key = os.path.abspath(path)
            if known.setdefault(real(path), key) == key:
                kept.append(path)
            else:
                self._again += 1
        return sorted(kept, key=lambda path: str(path).split(os.sep))

    def _put(self, place: _Place) -> None:
        self._places.setdefault(os.path.abspath(place.path), place)


def _inside(source: str) -> list[str] | None:
    """Return the members of an archive, or of a folder in one; None if it is neither."""
    try:
        return members_below(source)
    except ImageError as err:
        raise UsageError(str(err)) from None


def _refuse_packed(path: str) -> None:
    try:
        expect_unpacked(path)
    except ImageError as err:
        raise UsageError(str(err)) from None


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Say whether the parts of a path are of a pattern, in which `**` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], pattern[0])
        and _matches(parts[1:], pattern[1:])
    )
