"""One part of a job of several: `--shard 2/8`, and what parts make a whole."""

from __future__ import annotations

import hashlib
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


@dataclass(frozen=True)
class Job:
    """What shards are parts of.

    Attributes:
        of: number of shards.
        images: all that a call of it lists.
        ids_sha256: hash of their ids, in order.
        batch_size: images of a pass; shards are cut between them.
        split: names of splits that were asked for.
    """

    of: int
    images: int
    ids_sha256: str
    batch_size: int
    split: tuple[str, ...]

    def in_words(self) -> str:
        """Say how large it is.

        >>> Job(2, 1200, "", 16, ()).in_words()
        '1,200 images in batches of 16'
        """
        return f"{self.images:,} images in batches of {self.batch_size}"


def describe_job(ids: Sequence[str]) -> dict[str, Any]:
    """Return what the record of a call says of the job that its shard is a part of.

    Args:
        ids: of all images that the call lists, in order.
    """
    text = "\0".join(ids).encode(errors="surrogatepass")
    return {"images": len(ids), "ids_sha256": hashlib.sha256(text).hexdigest()}


def shards_of(calls: Iterable[Mapping[str, Any]]) -> dict[Job, list[Shard]]:
    """Return the shards that calls of `explain` were of, by job, those of whole jobs left out.

    Args:
        calls: records, as run.json has them; one of all images has no shard.
    """
    found: dict[Job, set[Shard]] = {}
    for call in calls:
        settings, job = call.get("settings", {}), call.get("shard_of", {})
        if settings.get("shard") is None:
            continue
        shard = Shard.read(settings["shard"])
        images, ids = int(job.get("images", 0)), str(job.get("ids_sha256", ""))
        split = tuple(settings.get("split") or ())
        whole = Job(shard.of, images, ids, int(settings.get("batch_size", 0)), split)
        found.setdefault(whole, set()).add(shard)
    return {job: sorted(shards) for job, shards in found.items() if len(shards) < job.of}
