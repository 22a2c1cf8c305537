"""One part of a job of several: `--shard 2/8`, and what parts make a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from xattn.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Shard:
    """Part `number` of `of`; the first is 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Read "2/8".

        Raises:
            UsageError: it is something else.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", str(text).strip())
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(f"Expected a shard such as 1/4, of 1/4 to 4/4, but got {text!r}")
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def take(self, items: Sequence[T], batch_size: int) -> list[T]:
        """Return this shard's items: whole batches, so that each has the members it would have.

        Args:
            items: of all shards, in order.
            batch_size: how many make a batch.

        Raises:
            UsageError: there are fewer batches than shards.
        """
        batches = -(-len(items) // batch_size)
        if batches < self.of:
            raise UsageError(
                f"Expected at most {batches} shards of {len(items):,} images in batches of "
                f"{batch_size}, but got {self.of}; a lower --batch-size makes more batches"
            )
        first, last = (batches * i // self.of * batch_size for i in (self.number - 1, self.number))
        return list(items[first:last])


def shards_of(calls: Iterable[Mapping[str, Any]]) -> list[Shard] | None:
    """Return the shards that calls of `explain` were of, in order; None if one was of all images.

    Args:
        calls: records, as run.json has them.
    """
    found = set()
    for call in calls:
        text = call.get("settings", {}).get("shard")
        if text is None:
            return None
        found.add(Shard.read(text))
    return sorted(found)
