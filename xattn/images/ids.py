"""The names that files go by in every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def distinct_ids(paths: Sequence[str], roots: Sequence[str] | None = None) -> list[str]:
    """Return file names without their ending; where several files share one, with their folders.

    >>> distinct_ids(["a/x.png", "b/x.png", "b/y.png"])
    ['a__x', 'b__x', 'y']

    Args:
        paths: relative to the folder that was searched, with forward slashes.
        roots: name of that folder, if there are several.
    """
    stems = [stem(path.rpartition("/")[2]) for path in paths]
    inside = [p.rpartition("/")[0] + "/" + one for p, one in zip(paths, stems, strict=True)]
    inside = [one.strip("/").replace("/", "__") for one in inside]
    rooted = [
        f"{root}__{one}" if root else one
        for root, one in zip(roots or [""] * len(paths), inside, strict=True)
    ]
    ended = [f"{one}_{p.rpartition('.')[2]}" for one, p in zip(rooted, paths, strict=True)]
    numbered = [f"{one}_{i}" for i, one in enumerate(ended)]
    ids = stems
    for longer in (inside, rooted, ended, numbered):
        count = Counter(ids)
        if len(count) == len(ids):
            break
        ids = [b if count[a] > 1 else a for a, b in zip(ids, longer, strict=True)]
    return ids


def stem(name: str) -> str:
    """Return a file's name without its ending."""
    return name.rpartition(".")[0] or name


def printable(text: str) -> str:
    r"""Return a file name as text that any file and terminal takes.

    >>> printable("caf\udce9.jpg")
    'caf\\udce9.jpg'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
