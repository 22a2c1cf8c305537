"""Damage and malice: what becomes of a good file on a bad disk, in a bad editor, or on purpose."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

WORDS = (
    b"", b" ", b"\x00", b"-1", b"0", b"1e999", b"NaN", b"-Infinity", b"null", b"true", b"{}", b"[]",
    b'""', b"9" * 400, b"-0.0", b"1" + b"0" * 30, b"0x10", b"1_000", b"'", b'"', b"\\", b"\\u0000",
    b"\\ud800", b"../../../../etc/passwd", b"/dev/zero", b"/dev/stdin", b"http://127.0.0.1:9/",
    b"file:///etc/passwd", b"=1+1", b"@SUM(A1)", b"<script>alert(1)</script>", b"[red]", b"[/x]",
    b"\x1b]0;title\x07", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xff\xfe", b"A" * 5000, b"%s%n", b"\r",
    b"image_id", b"label", b"lesion", b"con", b"nul.png", b"a,b;c\td", b"__class__", b"__reduce__",
)  # fmt: skip
"""Values that have broken readers of text."""

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Values that have broken readers of bytes: lengths, offsets, sides, counts."""

Mutation = Callable[[bytes, random.Random], bytes]


def _place(data: bytes, rng: random.Random) -> int:
    # Headers are where most of what is believed stands.
    return rng.randrange(min(len(data), 512) if rng.random() < 0.5 else len(data)) if data else 0


def flip(data: bytes, rng: random.Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """End too early."""
    return data[: _place(data, rng)]


def drop(data: bytes, rng: random.Random) -> bytes:
    """Lose a piece."""
    start = _place(data, rng)
    return data[:start] + data[start + rng.choice((1, 2, 4, 64, 4096)) :]


def double(data: bytes, rng: random.Random) -> bytes:
    """Have a piece twice."""
    start = _place(data, rng)
    end = start + rng.choice((1, 4, 64, 4096))
    return data[:end] + data[start:end] + data[end:]


def number(data: bytes, rng: random.Random) -> bytes:
    """Have another number somewhere, of one, two or four bytes, in either order."""
    width, start = rng.choice((1, 2, 4)), _place(data, rng)
    value = rng.choice(NUMBERS) & (256**width - 1)
    return (
        data[:start] + value.to_bytes(width, rng.choice(("big", "little"))) + data[start + width :]
    )


def zeros(data: bytes, rng: random.Random) -> bytes:
    """Have zeros where a block of the disk was lost."""
    start, length = _place(data, rng), rng.choice((16, 512, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def word(data: bytes, rng: random.Random) -> bytes:
    """Have another value in place of a name, number or text."""
    found = list(re.finditer(rb'"[^"\n]{0,80}"|[\w.+-]+', data))
    if not found:
        return data
    chosen, new = rng.choice(found), rng.choice(WORDS)
    quoted = chosen[0].startswith(b'"') and rng.random() < 0.7
    return data[: chosen.start()] + (b'"%s"' % new if quoted else new) + data[chosen.end() :]


def line(data: bytes, rng: random.Random) -> bytes:
    """Lose a line, have it twice, or at another place."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    taken = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.randrange(3)):
        lines.insert(rng.randrange(len(lines) + 1), taken)
    return b"".join(lines)


def brackets(data: bytes, rng: random.Random) -> bytes:
    """Have brackets, quotes or separators too many, or deeply one in the other."""
    start, sign = (
        _place(data, rng),
        rng.choice((b"[", b"{", b"]", b"}", b'"', b",", b":", b"=", b"\n")),
    )
    return data[:start] + sign * rng.choice((1, 2, 2000)) + data[start:]


def encoding(data: bytes, rng: random.Random) -> bytes:
    """Be saved by an editor with a will of its own."""
    text = data.decode("utf-8", "replace")
    name = rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp1252", "utf-7", "utf-16-be"))
    return text.encode(name, "replace")


BYTES: tuple[Mutation, ...] = (flip, cut, drop, double, number, zeros)
TEXT: tuple[Mutation, ...] = (word, word, word, line, brackets, encoding, flip, cut, drop, double)


def mutated(data: bytes, others: list[bytes], mutations: tuple[Mutation, ...], seed: int) -> bytes:
    """Return a good file after some mutations, or the beginning of it with the end of another.

    Args:
        data: a good file.
        others: more of its kind.
        mutations: to choose from.
        seed: same seed, same bytes.
    """
    rng = random.Random(seed)
    if rng.random() < 0.05 and others:
        data = data[: _place(data, rng)] + (end := rng.choice(others))[_place(end, rng) :]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(mutations)(data, rng)
    return data
