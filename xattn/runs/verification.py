"""What was found when a folder was compared with what was written about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from xattn.errors import XattnError
from xattn.runs.record import file_sha256


@dataclass
class Verification:
    """What was found in a folder.

    Attributes:
        path: the folder.
        kind: "run", "training", "search", "comparison" or "study".
        checked: what is as it was, in words.
        differs: what is not, each with its cause and the way out.
        unknown: what could not be compared, such as an input that is not there.
    """

    path: Path
    kind: str
    checked: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing differs."""
        return not self.differs

    def __str__(self) -> str:
        lines = [*(f"differs: {one}" for one in self.differs)]
        lines += [f"unknown: {one}" for one in self.unknown]
        return "\n".join([*lines, *(f"as it was: {one}" for one in self.checked)])

    def require(self, whole: bool, what: str, differs: str) -> None:
        """Take down one comparison."""
        if whole:
            self.checked.append(what)
        else:
            self.differs.append(differs)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Take down what cannot be read within the block, and go on after it."""
        try:
            yield
        except (XattnError, OSError) as err:
            self.differs.append(f"{what}: {err}")
        else:
            self.checked.append(what)

    def same_file(self, path: Path, sha256: str | None, what: str, way_out: str) -> None:
        """Compare a file with its hash; an input that is not there is unknown."""
        if sha256 is None:
            self.unknown.append(f"{what}: no hash of it was written")
        elif not path.is_file():
            self.unknown.append(f"{what}: {path} is not there")
        else:
            differs = f"{what}: {path} is not what it was (SHA-256); {way_out}"
            self.require(file_sha256(path) == sha256, f"{what} {path}", differs)
