"""What the user's own files hold, so that a study notices what was changed between two calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.documents import read_json
from xattn.errors import XattnError
from xattn.images.containers import has_file
from xattn.images.walk import Walk
from xattn.runs.inputs import Stamp, read_stamps, write_stamps

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Outside = Callable[["Inputs"], dict[str, Any]]
"""Identifies inputs from outside a study."""


class Inputs:
    """Hashes of files by their content; a file that was not touched since is not read again.

    Args:
        store: inputs.parquet, which keeps the hashes between calls.
    """

    def __init__(self, store: Path) -> None:
        self._store, self._stamps, self._new = store, read_stamps(store), False

    def digest(self, files: Iterable[Path], under: Path) -> dict[str, Any]:
        """Return number and hash of files, and how many of them cannot be read, if any.

        Args:
            files: in any order; members of archives by their paths.
            under: folder that their names in the hash are relative to.
        """
        whole, missing, count = hashlib.sha256(), 0, 0
        for path in sorted(set(files)):
            sha256 = self.sha256(path)
            name = path.relative_to(under) if path.is_relative_to(under) else path
            count, missing = count + 1, missing + (sha256 is None)
            whole.update(f"{name.as_posix()}\0{sha256}\0".encode(errors="surrogateescape"))
        facts: dict[str, Any] = {"files": count, "sha256": whole.hexdigest()}
        return {**facts, "missing": missing} if missing else facts

    def save(self) -> None:
        """Keep what was hashed for the next call."""
        if self._new:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            write_stamps(self._store, self._stamps, shared=True)
            self._new = False

    def sha256(self, path: Path) -> str | None:
        """Return the hash of a file, None if it cannot be read."""
        name = str(path)
        try:
            if name not in self._stamps or not self._stamps[name].fits(path):
                self._stamps[name] = Stamp.of(path)
                self._new = True
            return self._stamps[name].sha256
        except OSError:
            return None


def files_of(known: Annotations) -> list[Path]:
    """Return the image and mask files that an annotation file names."""
    found = []
    for image in known.images:
        entries = (image.lesion, *image.masks.values())
        found += [one for one in (image.file, *entries) if isinstance(one, Path)]
    return found


def files_below(folder: Path, out: Path) -> list[Path]:
    """Return the files of a folder, without those of the study if it lies there too."""
    own = out.resolve()
    paths = (Path(place, name) for place, name in Walk(folder))
    return [path for path in paths if not path.resolve().is_relative_to(own)]


def leads_to_images(annotations: Path) -> bool:
    """Say whether the first and the last image of an annotation file are where it says."""
    content = read_json(annotations)
    images = content.get("images", []) if isinstance(content, dict) else []
    ends = (annotations.parent / image["file"] for image in (*images[:1], *images[-1:]))
    return all(has_file(path) for path in ends)


def below(places: dict[str, Path], out: Path) -> Outside:
    """Identify all files of the folders that annotations are built from.

    Args:
        places: folders or files by their names in the recipe.
        out: folder of the study, whose files are none of them.
    """

    def outside(inputs: Inputs) -> dict[str, Any]:
        found = {}
        for name, place in places.items():
            if not place.exists():
                what = "the folder of a data set" if name == "root" else name
                raise XattnError(f"Expected {what} at {place}, but got nothing there")
            files = files_below(place, out) if place.is_dir() else [place]
            found["images" if name == "root" else name] = inputs.digest(files, place)
        return found

    return outside


def annotated(known: Path) -> Outside:
    """Identify an annotation file and the images and masks that it names.

    Args:
        known: the annotation file.
    """

    def outside(inputs: Inputs) -> dict[str, Any]:
        from xattn.annotations import read_annotations

        if not known.is_file():
            raise XattnError(f"Expected an annotation file at {known}, but got nothing there")
        own = inputs.digest([known], known.parent)
        try:
            files = files_of(read_annotations(known))
        except XattnError:  # said when the step reads it
            return {"annotations": own}
        return {"annotations": own, "images": inputs.digest(files, known.parent)}

    return outside
