"""Errors a user can act on: one line that names the cause, the file or layer, and the way out.

Everything the user may have got wrong is an `XattnError`; the command line prints its message
and exits with `exit_code`. Anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

shown: Callable[[str], str] = str
"""Writes a message as people are to read it; replaced once an address is worked on elsewhere."""


class XattnError(Exception):
    """Nothing could be done, for the reason in the message (exit code 1)."""

    exit_code = 1

    def __str__(self) -> str:
        return brief(shown(super().__str__()))


class UsageError(XattnError):
    """The words of the call are wrong: an unknown name, options that exclude each other (2)."""

    exit_code = 2


class ImageError(XattnError):
    """One image cannot be used; the others can."""


class AnnotationError(XattnError):
    """An annotation file is not what it should be. The message lists every problem found."""


class CheckpointError(XattnError):
    """A checkpoint cannot become a model."""


class MethodError(XattnError):
    """An explanation method makes no sense for this model or layer."""


class RunError(XattnError):
    """A run folder is missing, damaged, or belongs to other settings."""


class DiskError(XattnError):
    """A disk, or the rights on it, refuse a file: full, read-only, forbidden, failing."""


class Remark(str):
    """A line that is told and is no loss, among lines on what was left out: `--strict` passes."""


def near(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'a' or 'b'?"` for names close to `name`, else the known names.

    >>> near("gradcm", ["gradcam", "attention"])
    "; did you mean 'gradcam'?"
    >>> near("zzz", ["gradcam", "attention"])
    '; known: attention, gradcam'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return "; did you mean " + " or ".join(repr(c) for c in close) + "?"
    shown = known if len(known) <= 20 else [*known[:20], "..."]
    return "; known: " + ", ".join(shown)


_LONGEST_WORD, _ENDS = 400, (120, 60)


def brief(text: str) -> str:
    """Shorten words that are longer than any path to their beginning and their end.

    What is wrong with a file may be a name of a million letters.

    >>> brief("a" * 500)[115:]
    'aaaaa ... (500 characters) ... aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
    """

    def shortened(word: re.Match[str]) -> str:
        whole, (first, last) = word[0], _ENDS
        return f"{whole[:first]} ... ({len(whole):,} characters) ... {whole[-last:]}"

    return re.sub(rf"\S{{{_LONGEST_WORD},}}", shortened, text)


def one_line(err: BaseException) -> str:
    """Return what an exception says, on one line; its kind where it says nothing of its own.

    >>> one_line(ValueError("no\\n number")), one_line(IndexError())
    ('no number', 'IndexError')
    """
    said = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
    return " ".join(said.split()) or type(err).__name__
