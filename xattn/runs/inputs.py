"""What each image file was when it was used: so that one replaced under its old name is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd

from xattn.images.containers import file_facts, split_member
from xattn.runs.parquet import read_parquet, write_parquet
from xattn.runs.record import file_sha256

COLUMNS = ("file", "bytes", "mtime_ns", "sha256")


@dataclass(frozen=True)
class Stamp:
    """A file as it was: size, time of its last change, and hash of its content.

    Of a member of an archive, size and time are the archive's and the hash is its own.
    """

    bytes: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Read a file.

        Raises:
            OSError: it cannot be read.
        """
        size, mtime_ns = file_facts(path)
        return cls(size, mtime_ns, file_sha256(path))

    def fits(self, path: Path) -> bool:
        """Say whether the file still has this content; it is read only if it was touched.

        Raises:
            OSError: it cannot be read.
        """
        size, mtime_ns = file_facts(path)
        if size != self.bytes and split_member(path) is None:
            return False
        same = (size, mtime_ns) == (self.bytes, self.mtime_ns)
        return same or Stamp.of(path).sha256 == self.sha256


def read_stamps(path: Path) -> dict[str, Stamp]:
    """Read inputs.parquet: stamp by the file's name in the tables; empty if there is none."""
    if not path.is_file():
        return {}
    table = read_parquet(path, "delete it; what the files were is then not known")
    rows = zip(*(table[name] for name in COLUMNS), strict=True)
    return {str(file): Stamp(int(size), int(time), str(sha)) for file, size, time, sha in rows}


def write_stamps(path: Path, stamps: Mapping[str, Stamp], *, shared: bool = False) -> None:
    """Write inputs.parquet, whole or not at all; `shared` as in `replacing`."""
    table = pd.DataFrame([(file, *astuple(one)) for file, one in stamps.items()], columns=COLUMNS)
    write_parquet(table, path, shared=shared)
