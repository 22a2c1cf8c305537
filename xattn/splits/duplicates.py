"""Which files hold the same bytes, and leaks that show before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xattn.errors import ImageError
from xattn.images import read_image
from xattn.images.prefetch import prefetch
from xattn.runs.record import file_sha256
from xattn.splits.data_table import DataTable
from xattn.splits.metadata import Trait
from xattn.splits.samples import Failure, Sample, Split
from xattn.splits.splits import check_splits, make_splits

THREADS = 4


def hash_files(
    samples: Sequence[Sample], threads: int = THREADS
) -> tuple[list[Sample], dict[str, str], list[Failure]]:
    """Return the samples whose file is there, the SHA-256 of its bytes by id, and the others."""
    good: list[Sample] = []
    hashes: dict[str, str] = {}
    failures: list[Failure] = []
    for sample, found in zip(samples, prefetch(_hash, samples, threads), strict=True):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            good.append(sample)
            hashes[sample.id] = found
    return good, hashes, failures


def refuse_leaks(
    samples: Sequence[Sample],
    classes: Sequence[str],
    data: DataTable,
    stratify: Mapping[str, Trait],
    threads: int = THREADS,
) -> None:
    """Refuse splits that leak, or lack a class, before images are decoded.

    Only of splits that were given: those that are made here do not leak.

    Raises:
        XattnError: as `check_splits`.
    """
    if all(sample.split is None for sample in samples):
        return
    good, hashes, _ = hash_files(samples, threads)
    if not good:  # decoding says what is wrong with the files
        return
    splits = make_splits(
        good, hashes, val=data.val, test=data.test, seed=data.split_seed, stratify=stratify
    )
    damaged = _damaged_copies(good, splits, hashes)
    check_splits([s for s in good if hashes[s.id] not in damaged], splits, hashes, classes)


def _damaged_copies(
    samples: Sequence[Sample], splits: Mapping[str, Split], hashes: Mapping[str, str]
) -> set[str]:
    """Return the hashes of copies in two splits that no decoder reads; they are left out anyway."""
    first: dict[str, Sample] = {}
    torn = {}
    for sample in samples:
        other = first.setdefault(hashes[sample.id], sample)
        if splits[other.id] != splits[sample.id]:
            torn[hashes[sample.id]] = sample
    return {key for key, sample in torn.items() if not _can_be_read(sample)}


def _can_be_read(sample: Sample) -> bool:
    try:
        read_image(sample.file)
    except ImageError:
        return False
    return True


def _hash(sample: Sample) -> str | Failure:
    try:
        return file_sha256(sample.file)
    except OSError as err:
        return Failure(sample.file, "read", f"Expected a file, but got: {err.strerror}")
