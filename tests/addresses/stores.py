"""Stores to test with: one in memory, and one on this machine that speaks as S3 does."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import fsspec

_NUMBERS = itertools.count(1)


class Bucket:
    """A bucket of its own for a test.

    Attributes:
        address: such as s3://bucket-1, without a slash at its end.
    """

    def __init__(self, protocol: str) -> None:
        self.fs: Any = fsspec.filesystem(protocol)
        self.name = f"bucket-{next(_NUMBERS)}"
        self.address = f"{protocol}://{self.name}"
        self.fs.mkdir(self.name)

    def key(self, name: str) -> str:
        return f"{self.name}/{name}"

    def put(self, name: str, content: bytes) -> None:
        self.fs.pipe_file(self.key(name), content)

    def put_folder(self, folder: Path, name: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def files(self, name: str = "") -> dict[str, bytes]:
        """Return the content of all objects below a name, by the rest of their names."""
        self.fs.invalidate_cache()
        top = self.key(name).rstrip("/")
        found = self.fs.find(top)
        return {str(one).lstrip("/")[len(top) + 1 :]: self.fs.cat_file(one) for one in found}
