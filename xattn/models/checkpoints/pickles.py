"""Reading what torch has pickled without running any of it.

`torch.load(weights_only=True)` makes tensors and plain values alone. Files of trainings hold more
beside the weights: a score as a numpy number, the arguments of the command line, a path, a date.
None of their classes is ever imported here: each name becomes an `Inert`, which keeps what it was
given and does nothing.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

MOST_NAMES = 200
"""Names of foreign classes that one file may hold; a pickled module has fewer."""

_UNKNOWN = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")


class Inert:
    """What stands where a file holds an object of a class that is not loaded.

    Attributes:
        arguments: what its class was to be called with.
        state: what its attributes were to be.
    """

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Inert:
        """Keep the arguments; torch's reader calls this in place of the class."""
        made = object.__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Emptied:
    """Makes a plain dictionary for any class derived from one; what it holds follows."""

    def __new__(cls, *_arguments: Any) -> Any:
        return {}


def _number(dtype: Any, content: Any = b"") -> Any:
    """Read a numpy scalar; of its own type, which is no number here, only the name is used."""
    name = dtype.arguments[0] if isinstance(dtype, Inert) and dtype.arguments else ""
    kind = re.fullmatch(r"[<>|=]?([biuf])([1248]|16)", name) if isinstance(name, str) else None
    if kind is None or not isinstance(content, bytes):
        return Inert(dtype, content)
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "<"
    full = np.dtype(f"{'>' if order == '>' else '<'}{kind[1]}{kind[2]}")
    return np.frombuffer(content, full)[0].item() if len(content) == full.itemsize else None


_ANSWERS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
    "collections.defaultdict": _Emptied,
}


class NeedsPickleError(Exception):
    """The file cannot be read without running what is pickled in it."""


def read_inert(path: Path) -> Any:
    """Read a file of `torch.save` onto the CPU, foreign objects in it as `Inert`.

    Raises:
        NeedsPickleError: its structure asks for the real classes.
        Exception: damaged bytes make torch raise anything.
    """
    answers: dict[str, Callable[..., Any]] = dict(_ANSWERS)
    for _ in range(MOST_NAMES):
        try:
            return _load(path, answers)
        except pickle.UnpicklingError as err:
            name = _UNKNOWN.search(str(err))
            full = name[1] if name else ""
            full = full if "." in full else f"builtins.{full}"
            if name and full not in answers:
                answers[full] = Inert
            elif "SETITEM" in str(err) and Inert in answers.values():
                answers = {k: _Emptied if v is Inert else v for k, v in answers.items()}
            elif _is_pickled(err):
                raise NeedsPickleError(str(err)) from err
            else:
                raise
    raise NeedsPickleError(f"more than {MOST_NAMES} classes")


def _load(path: Path, answers: Mapping[str, Callable[..., Any]]) -> Any:
    allowed: list[Any] = [(answer, name) for name, answer in answers.items()]
    with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
        warnings.simplefilter("ignore")  # of types that torch now calls otherwise
        return torch.load(path, map_location="cpu", weights_only=True)


def _is_pickled(err: Exception) -> bool:
    """Whether torch refused an object that is no plain weight, rather than damaged bytes."""
    words = ("GLOBAL", "unrecognized function", "Can only", "must be imported")
    return any(word in str(err) for word in words)


def fields(thing: Any) -> Mapping[str, Any]:
    """Return what a mapping or an inert record (a namespace, a dataclass) says by name."""
    if isinstance(thing, Inert):
        thing = thing.state
        if isinstance(thing, tuple) and thing and isinstance(thing[0], Mapping):
            thing = thing[0]
    if not isinstance(thing, Mapping):
        return {}
    return {k: v for k, v in thing.items() if isinstance(k, str)}
