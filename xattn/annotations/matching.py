"""Ids of two sources brought together: as they are, then by how else people spell them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.images.kinds import endings

if TYPE_CHECKING:
    from xattn.annotations.records import Annotations
    from xattn.images.find import ImageFile

_SUFFIX = "_downsampled"


def bare(name: str) -> str:
    r"""Return an id without what files and people add to it.

    >>> bare(" images/ISIC_0000002_downsampled.JPG "), bare("C:\\scans\\slide.3")
    ('ISIC_0000002', 'slide.3')
    """
    text = unicodedata.normalize("NFC", name.replace("\\", "/").strip()).rpartition("/")[2]
    stem, dot, ending = text.rpartition(".")
    if stem and f"{dot}{ending}".lower() in endings():
        text = stem
    return text.strip().removesuffix(_SUFFIX)


def folded(name: str) -> str:
    """Return an id as `bare` does, in one case."""
    return unicodedata.normalize("NFC", bare(name).casefold())


@dataclass(frozen=True)
class Matched:
    """Which of some ids were found among others.

    Attributes:
        place: for each wanted id the position of the other, or None.
        spelled: (wanted, other) of those that agree only in how they are meant.
    """

    place: tuple[int | None, ...]
    spelled: tuple[tuple[str, str], ...] = ()

    @property
    def found(self) -> int:
        """How many were found."""
        return sum(place is not None for place in self.place)

    def sentence(self, what: str, where: str) -> str:
        """Say how many were found: "2,587 of 2,594 images have a row in metadata.csv".

        Args:
            what: is had, with its article: "a row".
            where: it is had in.
        """
        line = f"{self.found:,} of {len(self.place):,} images have {what} in {where}"
        if self.spelled:
            wanted, other = self.spelled[0]
            line += f", {len(self.spelled):,} of them spelled otherwise ({other!r} is {wanted!r})"
        return line


def match_ids(wanted: Sequence[str], there: Sequence[str]) -> Matched:
    """Find ids among others: equal, else equal when bare, else in another case.

    Where several ids of one side are spelled alike that way, they are not told apart by it and
    stay as they are. Numbers that lost their leading zeros are never taken for each other.

    Args:
        wanted: ids, each once.
        there: ids, some of them twice; the first is taken.
    """
    first: dict[str, int] = {}
    for i, one in enumerate(there):
        first.setdefault(one, i)
    place: list[int | None] = [first.get(one) for one in wanted]
    spelled: list[tuple[str, str]] = []
    for spelling in (bare, folded):
        taken = set(place)
        left = [i for i, found in enumerate(place) if found is None]
        others = {one: i for one, i in first.items() if i not in taken}
        if not left or not others:
            break
        mine = _single({i: spelling(wanted[i]) for i in left})
        theirs = _single({i: spelling(one) for one, i in others.items()})
        at = {key: i for i, key in theirs.items()}
        for i, key in mine.items():
            if key in at:
                place[i] = at[key]
                spelled.append((wanted[i], there[at[key]]))
    return Matched(tuple(place), tuple(spelled))


def _single(keys: dict[int, str]) -> dict[int, str]:
    count: Counter[Hashable] = Counter(keys.values())
    return {i: key for i, key in keys.items() if key and count[key] == 1}


def examples(wanted: Sequence[str], there: Sequence[str]) -> str:
    """Show an id of both sides, and say so if one side lost its leading zeros."""
    mine, theirs = (next(iter(ids), "none at all") for ids in (wanted, there))
    line = f"{mine!r} here, {theirs!r} there"
    short = {_short(bare(one)) for one in there if bare(one).isdecimal()}
    alike = next((one for one in wanted if one.isdecimal() and _short(one) in short), None)
    if alike is not None:
        line += (
            f"; one of the two lost its leading zeros, as spreadsheets drop them: {alike!r} is not "
            f"taken for {_other(alike, there)!r}; write them as text"
        )
    return line


def _short(number: str) -> str:
    return number.lstrip("0") or "0"


def _other(one: str, there: Sequence[str]) -> str:
    """Return the id that is the same number."""
    return next(o for o in there if bare(o).isdecimal() and _short(bare(o)) == _short(one))


def with_known_ids(
    images: Sequence[ImageFile], known: Annotations
) -> tuple[list[ImageFile], Matched]:
    """Give images the ids under which an annotation file knows them: by file, else by id.

    Args:
        images: as they were found; those that are not in the annotation file keep their ids.
        known: the annotation file.

    Returns:
        The images in their order, and which of the file's images were found.
    """
    of_file = {_real(image.file): i for i, image in enumerate(known.images)}
    ids = [image.id for image in known.images]
    by_file = [of_file.get(_real(image.path)) for image in images]
    taken = {i for i in by_file if i is not None}
    rest = [k for k, i in enumerate(by_file) if i is None]
    free = [i for i in range(len(ids)) if i not in taken]
    found = match_ids([ids[i] for i in free], [images[k].id for k in rest])
    renamed = list(images)
    for k, i in enumerate(by_file):
        if i is not None:
            renamed[k] = replace(images[k], id=ids[i])
    for i, place in zip(free, found.place, strict=True):
        if place is not None:
            renamed[rest[place]] = replace(images[rest[place]], id=ids[i])
    at: dict[int, int] = {i: k for k, i in enumerate(by_file) if i is not None}
    at |= {i: rest[p] for i, p in zip(free, found.place, strict=True) if p is not None}
    return renamed, Matched(tuple(at.get(i) for i in range(len(ids))), found.spelled)


def _real(path: Path) -> str:
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)
