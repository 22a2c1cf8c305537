"""What was found when a folder was compared with what was written about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xattn.errors import XattnError
from xattn.images.containers import has_file
from xattn.runs.atomic import has_checksum, read_record
from xattn.runs.record import file_sha256

RECORD, TABLE, FILE, MAPS, OVERLAYS, MASKS, IMAGE, CHECKPOINT, ANNOTATIONS = (
    "record", "table", "file", "maps", "overlays", "masks", "image", "checkpoint", "annotations",
)  # fmt: skip
"""Kinds of what is compared."""

_WORDS = {
    RECORD: ("1 record", "{} records"),
    TABLE: ("1 table", "{} tables"),
    FILE: ("1 other file", "{} other files"),
    MAPS: ("maps of 1 method", "maps of {} methods"),
    OVERLAYS: ("overlays of 1 method", "overlays of {} methods"),
    MASKS: ("masks of 1 feature", "masks of {} features"),
    IMAGE: ("1 image", "{} images"),
    CHECKPOINT: ("1 checkpoint", "{} checkpoints"),
    ANNOTATIONS: ("1 annotation file", "{} annotation files"),
}
"""One of a kind, and several, in words."""


@dataclass
class Verification:
    """What was found in a folder.

    Attributes:
        path: the folder.
        kind: "run", "training", "search", "comparison" or "study".
        checked: what is as it was, in words.
        differs: what is not, each with its cause and the way out.
        unknown: what could not be compared, such as an input that is not there.
        parts: kind -> names of what is as it was, each once.
    """

    path: Path
    kind: str
    checked: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    parts: dict[str, set[str]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing differs."""
        return not self.differs

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> number of what is as it was."""
        return {kind: len(self.parts[kind]) for kind in _WORDS if self.parts.get(kind)}

    @property
    def summary(self) -> str:
        """Say in a line how much is as it was, and how much is not."""
        said = [_WORDS[kind][n > 1].format(f"{n:,}") for kind, n in self.counts.items()]
        return (
            f"as written: {', '.join(said) or 'nothing'}; {len(self.differs)} differ, "
            f"{len(self.unknown)} could not be compared"
        )

    def __str__(self) -> str:
        lines = [*(f"differs: {one}" for one in self.differs)]
        lines += [f"unknown: {one}" for one in self.unknown]
        return "\n".join([*lines, *(f"as it was: {one}" for one in self.checked)])

    def same(self, what: str, kind: str = FILE, names: Iterable[str] = ()) -> None:
        """Take down what is as it was.

        Args:
            what: in words.
            kind: what it is, one of this module.
            names: of what it stands for; default itself.
        """
        self.checked.append(what)
        self.parts.setdefault(kind, set()).update(names or (what,))

    @contextmanager
    def reading(self, what: str, kind: str = FILE) -> Iterator[None]:
        """Take down what cannot be read within the block, and go on after it."""
        try:
            yield
        except (XattnError, OSError) as err:
            self.differs.append(f"{what}: {err}")
        else:
            self.same(what, kind)

    def record(self, path: Path, what: str = "") -> dict[str, Any]:
        """Compare a record with its checksum.

        Args:
            path: of the record.
            what: it is, default its name.

        Returns:
            Its content, {} where it cannot be read; one without a checksum is unknown.
        """
        what = what or path.name
        try:
            facts = read_record(path)
        except (XattnError, OSError) as err:
            self.differs.append(f"{what}: {err}")
            return {}
        if has_checksum(path):
            self.same(what, RECORD)
        else:
            self.unknown.append(f"{what}: it holds no checksum, so that a change is not noticed")
        return facts

    def same_file(
        self, path: Path, sha256: str | None, what: str, way_out: str, kind: str = FILE
    ) -> None:
        """Compare a file with its hash; an input that is not there is unknown."""
        if sha256 is None:
            self.unknown.append(f"{what}: no hash of it was written")
        elif not has_file(path):
            self.unknown.append(f"{what}: {path} is not there")
        else:
            self._hashed(path, sha256, what, way_out, kind)

    def _hashed(self, path: Path, sha256: str, what: str, way_out: str, kind: str) -> None:
        try:
            now = file_sha256(path)
        except OSError as err:
            self.differs.append(f"{what}: {err}")
            return
        if now == sha256:
            self.same(f"{what} {path}", kind, [str(path)])
        else:
            self.differs.append(f"{what}: {path} is not what it was (SHA-256); {way_out}")
