"""Masks as COCO run lengths: column by column, runs of 0 and 1 in turn, beginning with 0.

Source: the mask API of the COCO data set (Lin et al. 2014, "Microsoft COCO: Common Objects in
Context"). pycocotools writes them; they are read here, because its decoder hands out
uninitialised memory for run lengths that end too early.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_DIGITS = 7  # base-32 digits of a run length: enough for any mask that fits into memory


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return `{"size": [height, width], "counts": "..."}`, compressed, for booleans (h, w)."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode(size: tuple[int, int], counts: str | list[int]) -> NDArray[np.bool_]:
    """Return the mask as booleans (height, width).

    Args:
        size: (height, width) in pixels.
        counts: run lengths, or COCO's compressed text of them.

    Raises:
        ValueError: the text is no run lengths, or they do not fill the mask exactly.
    """
    runs = run_lengths(size, counts)
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(size[1], size[0]).T)


def run_lengths(size: tuple[int, int], counts: str | list[int]) -> NDArray[np.int64]:
    """Return the run lengths as numbers, checked against the size.

    Raises:
        ValueError: as `decode`.
    """
    runs = _expand(counts) if isinstance(counts, str) else np.asarray(counts, dtype=np.int64)
    if runs.size and runs.min() < 0:
        raise ValueError(f"Expected run lengths of 0 or more, but got {runs.min()}")
    if runs.sum() != size[0] * size[1]:
        raise ValueError(
            f"Expected run lengths that fill {size[0]} x {size[1]} = {size[0] * size[1]} pixels, "
            f"but got {runs.sum()}"
        )
    return runs


def _expand(text: str) -> NDArray[np.int64]:
    """Undo COCO's compression, as `rleFrString` of its C code does character by character.

    Each number is a string of base-32 digits, lowest first, each as the character 48 + digit,
    plus 32 where another one follows; the last digit's 16 is the sign. From the fourth number
    on it is the difference to the number two before.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if codes.size == 0:
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("Expected COCO's compressed run lengths, but got other text")
    last = np.flatnonzero((codes & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    digits = last - first + 1
    if digits.max() > _MOST_DIGITS:
        raise ValueError("Expected run lengths below 2^34, but got a longer number")
    place = np.arange(codes.size) - np.repeat(first, digits)
    values = np.add.reduceat((codes & 31) << (5 * place), first)
    values -= np.where(codes[last] & 16, np.int64(1) << (5 * digits), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
