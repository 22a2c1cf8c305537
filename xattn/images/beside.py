"""Masks that lie among the images they are of: known by their names, where needed by their content.

`ISIC_0000000_segmentation.png` beside `ISIC_0000000.jpg` is no further image, and neither is
`masks/17.png` beside `images/17.png`. A file is only a mask of another file that is there: one that
is merely called `mask_01.jpg`, in a folder where nothing else bears that name, is an image.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from xattn.errors import ImageError
from xattn.images.decode import read_image

SURE = frozenset({
    "mask", "masks", "seg", "segs", "segm", "segmentation", "segmentations", "superpixel",
    "superpixels", "attribute", "gt", "groundtruth",
})  # fmt: skip
"""Words that say so at the end of a file's name."""
LIKELY = frozenset({
    "lesion", "label", "labels", "labelmap", "roi", "contour", "contours", "annotation",
    "annotations", "anno", "manual", "truth", "trimap", "binary", "border",
})  # fmt: skip
"""Words that may also name an image: `1_lesion.jpg` could be a close-up. The content decides."""

_SEPARATORS = "_-. "
_MOST_READ = 5
_MOST_MARKS = 16
_FEW_COLOURS = 16
_MOST_OF_IT = 0.99
_COARSE = 64  # grey levels; what compression adds to a mask's two stays in their bins

Mark = tuple[str, str]
"""How masks are known, and by what: ("suffix", "*_segmentation"), ("folder", "masks/*")."""


def masks_among(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the files that are masks of others, and by what they are known.

    Args:
        paths: files of one listing.

    Returns:
        Path -> the end of its name, such as "*_segmentation", its folder, such as "masks/*", or,
        where image and mask lie in one folder under one name, its ending, such as "*.png".
    """
    listed = list(paths)
    common = len(Path(os.path.commonpath([str(p.parent) for p in listed] or ["."])).parts)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in listed:
        by_stem[path.stem].append(path)
    marked: dict[Mark, list[Path]] = defaultdict(list)
    for stem, files in by_stem.items():
        end = _end(stem, by_stem)
        if end is not None:
            marked["suffix", f"*{end}"] += files
        elif len(files) > 1:
            for path, mark in _of_one_name(files, common):
                marked[mark] += [path]
    found: dict[Path, str] = {}
    flat = _flat(marked)
    endings = {mark for mark in marked if mark[0] == "ending"}
    if endings <= flat:  # flat drawings, all of them: nothing says which are the images
        flat -= endings
    for mark in flat:
        found |= dict.fromkeys(marked[mark], mark[1])
    return found


def without_masks(
    paths: Sequence[Path],
    note: Callable[[str], None] | None = None,
    way_out: str = "",
    named: Iterable[Path] = (),
) -> list[Path]:
    """Return the paths without those of masks of others, which are told in one line.

    Args:
        paths: files of one listing.
        note: takes the line.
        way_out: what can be done about it, at the end of the line.
        named: files that are known to be images.
    """
    masks = masks_among(paths)
    if masks:
        images = {os.path.realpath(path) for path in named}
        masks = {path: by for path, by in masks.items() if os.path.realpath(path) not in images}
    if masks and note is not None:
        note(describe(list(masks.values()), way_out))
    return [path for path in paths if path not in masks]


def names_masks(name: str) -> bool:
    """Say whether the name of a folder is what one of masks may be called.

    >>> [names_masks(name) for name in ("lesion_masks", "GroundTruth", "benign")]
    [True, True, False]
    """
    return bool(_words(name) & (SURE | LIKELY))


def describe(known_by: Sequence[str], way_out: str = "") -> str:
    """Say in one line how many masks were left out, and by what they are known."""
    marks = sorted(set(known_by))
    shown = ", ".join(f"{mark} ({known_by.count(mark):,})" for mark in marks[:4])
    more = f" and {len(marks) - 4} more endings" if len(marks) > 4 else ""
    files = f"{len(known_by):,} file{'s' if len(known_by) > 1 else ''}"
    line = f"left out {files}, masks of images that lie beside them: {shown}{more}"
    return f"{line}; {way_out}" if way_out else line


def _end(stem: str, stems: dict[str, list[Path]]) -> str | None:
    """Return what a name has beyond that of another file, from its separator on."""
    for place, letter in enumerate(stem):
        if letter in _SEPARATORS and place and stem[:place] in stems:
            return stem[place:]
    return None


def _of_one_name(files: Sequence[Path], common: int) -> Iterator[tuple[Path, Mark]]:
    """Yield those of files of one name that may be masks.

    These are the files in folders named for masks, where another's does not; else those that
    share a folder with another, and differ in their ending.

    Args:
        files: of one name.
        common: number of folders at the beginning of all paths, which tell no two apart.
    """
    folders = {path: _folder_of_masks(path.parts[common:-1]) for path in files}
    if None in folders.values() and set(folders.values()) != {None}:
        for path, folder in folders.items():
            if folder is not None:
                yield path, ("folder", f"{folder}/*")
        return
    parents = [path.parent for path in files]
    for path in files:
        if parents.count(path.parent) > 1:
            yield path, ("ending", f"*{path.suffix}")


def _folder_of_masks(folders: Sequence[str]) -> str | None:
    return next((name for name in reversed(folders) if names_masks(name)), None)


def _words(name: str) -> set[str]:
    parts = re.split(r"[_\-. ]+|\d+", name.lower())
    return {part for part in parts if part} | {name.lower().strip(_SEPARATORS).replace("_", "")}


def _flat(marked: Mapping[Mark, Sequence[Path]]) -> set[Mark]:
    """Return the marks that a word settles, and those whose files turn out to be flat.

    The most common marks are looked into one by one and all others together: beside `scan.jpg`,
    each of `scan_0001.jpg` to `scan_9999.jpg` has an end of its own.
    """
    sure = {mark for mark in marked if mark[0] == "suffix" and _words(mark[1]) & SURE}
    unsure = sorted(
        marked.keys() - sure, key=lambda mark: (mark[0] != "ending", -len(marked[mark]), mark)
    )
    common, rare = unsure[:_MOST_MARKS], unsure[_MOST_MARKS:]
    flat = sure | {mark for mark in common if _are_flat(marked[mark], _MOST_READ)}
    if rare and _are_flat([path for mark in rare for path in marked[mark]], _MOST_MARKS):
        flat |= set(rare)
    return flat


def _are_flat(files: Sequence[Path], most: int) -> bool:
    """Say whether files hold a few colours and nothing between, as seen in so many of them."""
    step = max(1, len(files) // most)
    return all(_is_flat(path) for path in sorted(files)[::step][:most])


def _is_flat(path: Path) -> bool:
    try:
        pixels = np.asarray(read_image(path).image).reshape(-1, 3)
    except ImageError:
        return False
    coded = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return len(np.unique(coded)) <= _FEW_COLOURS
    coarse = np.bincount((pixels.mean(axis=1) // _COARSE).astype(np.intp), minlength=4)
    ends = coarse[0] + coarse[-1]
    return bool(ends >= _MOST_OF_IT * len(pixels))
